/** What every model that an engine holds has, whatever it does. */
import type { TemplateAbilities } from '../chat/abilities.ts';
import type { EmbedListener } from '../embed/model.ts';
import type { EmbedResult, EmbedSettings, RerankResult } from '../embed/options.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Gate } from '../generate/queue.ts';
import type {
  Capabilities,
  DeviceInfo,
  DeviceRequest,
  EmbeddingInfo,
  MemoryInfo,
  PaintingInfo,
} from '../worker/api.ts';
import type { LoadListener } from './loaded.ts';

export interface LoadedModel {
  readonly name: string;
  /** Of the file's header and of the weights that were read. */
  readonly fingerprint: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly config: { readonly architecture: string; readonly vocabulary: number };
  /** Most tokens of a context, or of a text. */
  readonly window: number;
  readonly device: DeviceInfo;
  readonly capabilities: Capabilities;
  /** Undefined for a model that gives no vectors. */
  readonly embedding: EmbeddingInfo | undefined;
  /** Undefined for a model that does not paint. */
  readonly painting: PaintingInfo | undefined;
  /** What the chat template can do; undefined without one. */
  readonly template: TemplateAbilities | undefined;
  readonly tokenizer: Tokenizer;
  /** Passed by whatever computes. */
  readonly gate: Gate;
  /** Resolves with the error when the device that the model is on now is lost, or was before this was asked; never for one that is given back on purpose. */
  readonly lost: Promise<Error>;
  /** Called when a prompt that was to be kept could not be. */
  onNotKept?: ((error: Error) => void) | undefined;
  memory(): MemoryInfo;
  embed(texts: readonly string[], settings: EmbedSettings, listener: EmbedListener): Promise<EmbedResult>;
  rerank(query: string, passages: readonly string[], listener: EmbedListener): Promise<RerankResult>;
  /** Loads the weights again, on another device if asked. */
  recover(request: DeviceRequest, listener: LoadListener): Promise<DeviceInfo>;
  /** Resolves when nothing is being written any more. */
  settled(): Promise<void>;
  free(): void;
}
