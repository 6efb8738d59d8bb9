/** What all entries export besides their own `Octavo`: classes for `instanceof`, and types. */
export { DeviceError, FileError, InputError, ModelError, OctavoError, StorageError } from './errors.ts';
export type {
  DeviceErrorCode,
  ErrorFacts,
  FileErrorCode,
  InputErrorCode,
  ModelErrorCode,
  StorageErrorCode,
} from './errors.ts';
export { OctavoModel } from './face/model.ts';
export type { Completion, CompletionOptions, RecoverOptions, ScoreOptions, TokenOptions } from './face/model.ts';
export type { AddDownloadListener, CreateMonitor, DownloadProgressEvent, MonitorCallback } from './face/monitor.ts';
export type { InspectOptions } from './face/inspecting.ts';
export type {
  Availability,
  AvailabilityOptions,
  ConnectOptions,
  LoadOptions,
  OctavoFace,
  StoredFiles,
} from './face/octavo.ts';
export type {
  AskOptions,
  Citation,
  DocumentAnswer,
  DocumentAnswerStream,
  NearPassage,
  PrepareOptions,
} from './face/asking.ts';
export type { OctavoDocument, OpenDocumentOptions } from './face/document.ts';
export type { AskMode, AskProgress, Exchange, ReadReport } from './document/answer/ask.ts';
export type { AddOptions, LibraryOptions, LibraryResult, OctavoLibrary } from './face/library.ts';
export type { LibraryProgress } from './document/library/library.ts';
export type { EntryState, LibraryEntry } from './document/library/shelf.ts';
export type { CitationKind } from './document/answer/cite.ts';
export type { AnsweringModel, AnsweringSession } from './document/answer/model.ts';
export type { Attribution, AttributionSettings } from './generate/attribution.ts';
export type { FallbackOptions, ServerOptions } from './remote/index.ts';
export type { Block, BlockKind, Language, OutlineEntry, Page, PageKind, Rectangle } from './document/content.ts';
export type {
  DocumentSource,
  Embedder,
  OpenOptions,
  ReadingProgress,
  RecognisedLine,
  RecognisedWord,
  Recogniser,
  SearchOptions,
  SearchResult,
} from './document/options.ts';
export type { PlacedRectangle } from './document/rectangles.ts';
export type { EditOptions, PaintOptions } from './face/painting.ts';
export type { KeptTokensOptions } from './face/kept-tokens.ts';
export { PaintedPicture } from './face/picture.ts';
export { OctavoSession } from './face/session.ts';
export type { Constrainable, ResponseConstraint } from './face/constraint.ts';
export type {
  Abortable,
  AppendOptions,
  ExpectedContent,
  MeasureOptions,
  PromptOptions,
  SessionOptions,
} from './face/session.ts';
export type { ResumeOptions, SavedSession, SavedSessions, SaveOptions } from './face/sessions.ts';
export type { AnswerStream, TextStream } from './face/stream.ts';
export type { Tool, ToolContext } from './face/tools.ts';
export type { EmbedOptions, Embeddings, RerankOptions, Ranking } from './face/texts.ts';
export type { TemplateAbilities } from './chat/abilities.ts';
export type {
  Capabilities,
  DeviceInfo,
  DeviceName,
  EmbeddingInfo,
  MemoryInfo,
  MemoryNeed,
  ModelReport,
  PaintingInfo,
} from './worker/api.ts';
export type { EmbedSettings, Ranked, TextsReport } from './embed/options.ts';
export type { ContentPart, Message, PromptInput, Role, ToolCall } from './chat/messages.ts';
export type {
  AnsweredCall,
  AnswerPart,
  TextPart,
  ToolCallDelta,
  ToolCallStart,
  ToolChoice,
  ToolResult,
  ToolSettings,
} from './chat/tools.ts';
export type { JsonSchema } from './constrain/grammar.ts';
export type {
  ContextChoice,
  ContextOptions,
  ContextPreset,
  DecidedContext,
  DecodeMethod,
  DecodeOptions,
  EvictOptions,
  HeadOptions,
  PrefillMethod,
  PrefillOptions,
} from './select/options.ts';
export type { BackendKind } from './backend/backend.ts';
export type { ContextMemory } from './kv/tiers.ts';
export type { KvBits, Staircase, UnequalBits } from './kv/precision.ts';
export type { ContrastOptions } from './generate/contrast.ts';
export type { DraftCounts } from './generate/drafts.ts';
export type {
  AnswerOptions,
  AnswerReport,
  ChatOptions,
  FinishReason,
  LikelyToken,
  Phases,
  TokenLogProb,
  TokenUsage,
} from './generate/options.ts';
export type { KeptTile, KeptTokens } from './see/kept-cells.ts';
export type { Score, ScoreSettings } from './generate/score.ts';
export type { ImageOptions } from './models/vision/vision-model.ts';
export type { SamplingMode, SamplingOptions } from './generate/sampling.ts';
export type { Bytes, ModelInput } from './load/inputs.ts';
export type { LoadPhase, LoadProgress } from './load/model-file.ts';
export type { PaintCheckpoint, PaintProgress, Picture } from './paint/index.ts';
export type { KeepLimits, SessionUsage, StoredFile, StoredSession } from './store/index.ts';
export type { Drawable } from './vision/canvas.ts';
export type { ImageInput, Rgba } from './vision/index.ts';
export type { ReleaseOptions, VisualMethod, VisualSelection } from './select/visual/index.ts';
