/** A Hugging Face folder (config.json, tokenizer.json, *.safetensors, ...) as a `ModelFile`. */
import { weightBytes } from '../../backend/weight.ts';
import { sha256 } from '../../hash.ts';
import { FileError } from '../../errors.ts';
import { readBytes, type ByteSource } from '../byte-source.ts';
import { deliveredFormat, type Quantization } from '../convert.ts';
import { JSON_LIMITS } from '../expectation.ts';
import { isPlainName, type FileSet } from '../file-set.ts';
import { sampleBytes } from '../fingerprint.ts';
import { isObject, parseJsonObject } from '../json.ts';
import type { JsonObject, ModelFile, ModelMetadata } from '../model-file.ts';
import { hashFault, StreamedModelFile, type HeadedSource, type PlacedTensor } from '../streamed-file.ts';
import { readSafetensorsHeader } from './safetensors.ts';

/** The largest models have some 200. */
const MAX_SHARDS = 1024;

export async function openFolder(
  files: FileSet,
  options: { readonly signal?: AbortSignal; readonly quantize?: Quantization; readonly headerOnly?: boolean } = {},
): Promise<ModelFile> {
  const { signal, quantize, headerOnly = false } = options;
  /** What tells this folder from others. */
  const identifying: Uint8Array[] = [];
  const text = async (name: string, limit: number): Promise<Uint8Array | undefined> => {
    const bytes = await readSmall(files, name, limit, signal);
    if (bytes !== undefined) identifying.push(bytes);
    return bytes;
  };
  const json = async (name: string, limit: number): Promise<JsonObject | undefined> => {
    const bytes = await text(name, limit);
    return bytes === undefined ? undefined : parseJsonObject(bytes, `${files.name}/${name}`, 'JSON', 0);
  };
  const config = await json('config.json', JSON_LIMITS.config);
  if (config === undefined)
    throw new FileError(
      'missing',
      { file: `${files.name}/config.json`, field: 'file' },
      'a Hugging Face folder needs it',
    );
  refuseQuantized(config, files.name);
  const generationConfig = await json('generation_config.json', JSON_LIMITS.config);
  // Many megabytes, which only a vision part needs beside its header.
  const needless = headerOnly && config['vision_config'] === undefined;
  const tokenizer = needless ? undefined : await json('tokenizer.json', JSON_LIMITS.tokenizer);
  const tokenizerConfig = await json('tokenizer_config.json', JSON_LIMITS.config);
  const preprocessor = await json('preprocessor_config.json', JSON_LIMITS.config);
  const template = await text('chat_template.jinja', JSON_LIMITS.template);
  const list = await text('modules.json', JSON_LIMITS.config);
  const sentence =
    list === undefined ? undefined : await (await import('./sentence.ts')).sentenceFiles(list, files.name, json);
  const metadata: ModelMetadata = {
    kind: 'huggingface',
    config,
    ...(generationConfig === undefined ? {} : { generationConfig }),
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(tokenizerConfig === undefined ? {} : { tokenizerConfig }),
    ...(preprocessor === undefined ? {} : { preprocessor }),
    ...(template === undefined ? {} : { chatTemplate: new TextDecoder().decode(template) }),
    ...(sentence === undefined ? {} : { sentence }),
  };

  const sources: ByteSource[] = [];
  const headed: HeadedSource[] = [];
  try {
    const { shards, index } = await shardNames(files, signal);
    const placed = new Map<string, PlacedTensor>();
    // Dense modules have weights of their own.
    const dense = sentence?.modules.filter(({ type, path }) => path !== '' && type.endsWith('.Dense')) ?? [];
    const parts = [
      ...shards.map((file) => ({ file, prefix: '' })),
      ...dense.map(({ path }) => ({ file: `${path}/model.safetensors`, prefix: `${path}/` })),
    ];
    for (const [i, { file: shard, prefix }] of parts.entries()) {
      const source = await files.open(shard);
      if (source === undefined)
        throw new FileError(
          'missing',
          { file: `${files.name}/${shard}`, field: 'file' },
          prefix !== ''
            ? 'modules.json names its folder; give all files of the model, with their folders'
            : index === undefined
              ? 'the folder has no weights: model.safetensors or model.safetensors.index.json should be there (PyTorch files, pytorch_model.bin, are not read)'
              : 'model.safetensors.index.json names it; give all shards',
        );
      sources.push(source);
      const header = await readSafetensorsHeader(source, signal);
      identifying.push(header.bytes);
      headed.push({
        source,
        header: { start: 8, end: header.dataOffset, sha256: await sha256(header.bytes) },
      });
      identifying.push(await sampleBytes(source, header.dataOffset, signal));
      for (const { name: own, shape, format: stored, offset, bytes: storedBytes } of header.entries) {
        if (stored === undefined || storedBytes === 0) continue;
        const name = prefix + own;
        if (placed.has(name))
          throw new FileError('malformed', { file: source.name, field: name }, 'this tensor is in two shards');
        const format = deliveredFormat(name, shape, stored, quantize);
        const spec = { name, shape, format };
        placed.set(name, {
          info: { ...spec, bytes: weightBytes(spec), stored },
          source: i,
          offset,
          stored,
          storedBytes,
        });
      }
    }
    for (const [name, shard] of index ?? []) {
      const found = placed.get(name);
      // Integer buffers are in the index but not among the weights.
      if (found !== undefined && shards[found.source] !== shard)
        throw new FileError(
          'malformed',
          { file: `${files.name}/model.safetensors.index.json`, field: name },
          `it should be in ${shard}, it is in ${shards[found.source] ?? ''}`,
        );
    }
    return new StreamedModelFile({
      name: files.name,
      metadata,
      placed: [...placed.values()],
      sources: headed,
      fingerprint: await sha256(...identifying),
    });
  } catch (fault) {
    await Promise.all(sources.map((source) => source.close()));
    throw fault;
  }
}

async function readSmall(
  files: FileSet,
  name: string,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const source = await files.open(name);
  if (source === undefined) return undefined;
  try {
    if (source.size > limit)
      throw new FileError(
        'limit',
        { file: source.name, field: 'size' },
        `${source.size} bytes; at most ${limit} are read`,
      );
    const bytes = await readBytes(source, 0, source.size, signal);
    const { expectedSha256 } = source;
    if (expectedSha256 !== undefined) {
      const found = await sha256(bytes);
      if (found !== expectedSha256) throw hashFault(source.name, found, expectedSha256);
    }
    return bytes;
  } finally {
    await source.close();
  }
}

async function shardNames(
  files: FileSet,
  signal: AbortSignal | undefined,
): Promise<{ shards: string[]; index?: readonly [string, string][] }> {
  const name = 'model.safetensors.index.json';
  const bytes = await readSmall(files, name, JSON_LIMITS.index, signal);
  if (bytes === undefined) return { shards: ['model.safetensors'] };
  const file = `${files.name}/${name}`;
  const { weight_map: map } = parseJsonObject(bytes, file, 'JSON', 0);
  if (!isObject(map)) throw new FileError('malformed', { file, field: 'weight_map' }, 'an object should be here');
  const index: [string, string][] = [];
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !isPlainName(shard) || !shard.endsWith('.safetensors'))
      throw new FileError(
        'malformed',
        { file, field: `weight_map, ${tensor}` },
        `${JSON.stringify(shard)?.slice(0, 80)}; the name of a .safetensors file in the same folder should be here`,
      );
    index.push([tensor, shard]);
  }
  const shards = [...new Set(index.map(([, shard]) => shard))].sort();
  if (shards.length > MAX_SHARDS)
    throw new FileError(
      'limit',
      { file, field: 'weight_map' },
      `${shards.length} files; at most ${MAX_SHARDS} are read`,
    );
  if (shards.length === 0) throw new FileError('malformed', { file, field: 'weight_map' }, 'it names no file');
  return { shards, index };
}

/** Checkpoints of GPTQ, AWQ, bitsandbytes and FP8 have their own kinds of tensors. */
function refuseQuantized(config: JsonObject, folder: string): void {
  const quantization = config['quantization_config'];
  if (!isObject(quantization)) return;
  const { quant_method: method } = quantization;
  throw new FileError(
    'unsupported',
    { file: `${folder}/config.json`, field: 'quantization_config' },
    `${typeof method === 'string' ? method.slice(0, 40) : 'a quantised checkpoint'}; take the model in BF16, F16 or F32 (and quantize: 'q8' or 'q4'), or as GGUF`,
  );
}
