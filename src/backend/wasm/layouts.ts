// Made by tools/layouts.mjs from assembly/. Do not edit: change the sources there and run `npm run layouts`.

/** A record's memory as 32-bit words and as f32. */
export interface Block {
  readonly words: Uint32Array;
  readonly floats: Float32Array;
}

// assembly/kernels/attention.ts

/** Words of the record, and the word of each field. */
export const attentionWords = 20;
export const attentionOut = 1;
export const attentionQ = 2;
export const attentionPages = 3;
export const attentionBlocks = 4;
export const attentionCount = 5;
export const attentionPosition = 6;
export const attentionHeads = 7;
export const attentionKvHeads = 8;
export const attentionHeadDim = 9;
export const attentionAdded = 10;
export const attentionScale = 11;
export const attentionQueryBlock = 12;
export const attentionLists = 13;
export const attentionCausal = 14;
export const attentionOffsets = 15;
export const attentionRuns = 16;
export const attentionKeys = 17;
export const attentionPartials = 18;
export const attentionWidth = 19;
export interface Attention {
  readonly out: number;
  readonly q: number;
  readonly pages: number;
  readonly blocks: number;
  readonly count: number;
  readonly position: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly added: number;
  readonly scale: number; // f32
  readonly queryBlock: number;
  readonly lists: number;
  readonly causal: number;
  readonly offsets: number;
  readonly runs: number;
  readonly keys: number;
  readonly partials: number;
  readonly width: number;
}
export function writeAttention({ words, floats }: Block, record: Attention): void {
  words[1] = record.out;
  words[2] = record.q;
  words[3] = record.pages;
  words[4] = record.blocks;
  words[5] = record.count;
  words[6] = record.position;
  words[7] = record.heads;
  words[8] = record.kvHeads;
  words[9] = record.headDim;
  words[10] = record.added;
  floats[11] = record.scale;
  words[12] = record.queryBlock;
  words[13] = record.lists;
  words[14] = record.causal;
  words[15] = record.offsets;
  words[16] = record.runs;
  words[17] = record.keys;
  words[18] = record.partials;
  words[19] = record.width;
}

// assembly/kernels/cached.ts

/** Words of the record, and the word of each field. */
export const cachedWords = 12;
export const cachedOut = 1;
export const cachedPages = 2;
export const cachedFirstBlock = 3;
export const cachedBlocks = 4;
export const cachedKvHeads = 5;
export const cachedHeadDim = 6;
export const cachedValues = 7;
export const cachedStart = 8;
export const cachedEnd = 9;
export const cachedSpans = 10;
export const cachedCount = 11;
export interface Cached {
  readonly out: number;
  readonly pages: number;
  readonly firstBlock: number;
  readonly blocks: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly values: number;
  readonly start: number;
  readonly end: number;
  readonly spans: number;
  readonly count: number;
}
export function writeCached({ words }: Block, record: Cached): void {
  words[1] = record.out;
  words[2] = record.pages;
  words[3] = record.firstBlock;
  words[4] = record.blocks;
  words[5] = record.kvHeads;
  words[6] = record.headDim;
  words[7] = record.values;
  words[8] = record.start;
  words[9] = record.end;
  words[10] = record.spans;
  words[11] = record.count;
}

/** Words of the record, and the word of each field. */
export const rowMeansWords = 6;
export const rowMeansOut = 1;
export const rowMeansX = 2;
export const rowMeansCols = 3;
export const rowMeansSpans = 4;
export const rowMeansCount = 5;
export interface RowMeans {
  readonly out: number;
  readonly x: number;
  readonly cols: number;
  readonly spans: number;
  readonly count: number;
}
export function writeRowMeans({ words }: Block, record: RowMeans): void {
  words[1] = record.out;
  words[2] = record.x;
  words[3] = record.cols;
  words[4] = record.spans;
  words[5] = record.count;
}

// assembly/kernels/conv.ts

/** Words of the record, and the word of each field. */
export const convWords = 27;
export const convOut = 1;
export const convX = 2;
export const convWeight = 3;
export const convFormat = 4;
export const convRows = 5;
export const convChannels = 6;
export const convHeight = 7;
export const convWidth = 8;
export const convKernel = 9;
export const convStride = 10;
export const convTop = 11;
export const convLeft = 12;
export const convUpsample = 13;
export const convOutHeight = 14;
export const convOutWidth = 15;
export const convBias = 16;
export const convActivation = 17;
export const convResidual = 18;
export const convThreads = 19;
export const convPrepared = 20;
export const convMoments = 21;
export const convGroups = 22;
export const convNormWeight = 23;
export const convNormBias = 24;
export const convNormActivation = 25;
export const convTable = 26;
export interface Conv {
  readonly out: number;
  readonly x: number;
  readonly weight: number;
  readonly format: number;
  readonly rows: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly kernel: number;
  readonly stride: number;
  readonly top: number;
  readonly left: number;
  readonly upsample: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly bias: number;
  readonly activation: number;
  readonly residual: number;
  readonly threads: number;
  readonly prepared: number;
  readonly moments: number;
  readonly groups: number;
  readonly normWeight: number;
  readonly normBias: number;
  readonly normActivation: number;
  readonly table: number;
}
export function writeConv({ words }: Block, record: Conv): void {
  words[1] = record.out;
  words[2] = record.x;
  words[3] = record.weight;
  words[4] = record.format;
  words[5] = record.rows;
  words[6] = record.channels;
  words[7] = record.height;
  words[8] = record.width;
  words[9] = record.kernel;
  words[10] = record.stride;
  words[11] = record.top;
  words[12] = record.left;
  words[13] = record.upsample;
  words[14] = record.outHeight;
  words[15] = record.outWidth;
  words[16] = record.bias;
  words[17] = record.activation;
  words[18] = record.residual;
  words[19] = record.threads;
  words[20] = record.prepared;
  words[21] = record.moments;
  words[22] = record.groups;
  words[23] = record.normWeight;
  words[24] = record.normBias;
  words[25] = record.normActivation;
  words[26] = record.table;
}

// assembly/kernels/group-norm.ts

/** Words of the record, and the word of each field. */
export const momentsWords = 8;
export const momentsOut = 1;
export const momentsBands = 2;
export const momentsBandCount = 3;
export const momentsChannels = 4;
export const momentsGroups = 5;
export const momentsEpsilon = 6;
export const momentsPartials = 7;
export interface Moments {
  readonly out: number;
  readonly bands: number;
  readonly bandCount: number;
  readonly channels: number;
  readonly groups: number;
  readonly epsilon: number; // f32
  readonly partials: number;
}
export function writeMoments({ words, floats }: Block, record: Moments): void {
  words[1] = record.out;
  words[2] = record.bands;
  words[3] = record.bandCount;
  words[4] = record.channels;
  words[5] = record.groups;
  floats[6] = record.epsilon;
  words[7] = record.partials;
}

/** Words of the record, and the word of each field. */
export const groupNormWords = 11;
export const groupNormOut = 1;
export const groupNormX = 2;
export const groupNormPixels = 3;
export const groupNormChannels = 4;
export const groupNormMoments = 5;
export const groupNormGroups = 6;
export const groupNormWeight = 7;
export const groupNormBias = 8;
export const groupNormActivation = 9;
export const groupNormTable = 10;
export interface GroupNorm {
  readonly out: number;
  readonly x: number;
  readonly pixels: number;
  readonly channels: number;
  readonly moments: number;
  readonly groups: number;
  readonly weight: number;
  readonly bias: number;
  readonly activation: number;
  readonly table: number;
}
export function writeGroupNorm({ words }: Block, record: GroupNorm): void {
  words[1] = record.out;
  words[2] = record.x;
  words[3] = record.pixels;
  words[4] = record.channels;
  words[5] = record.moments;
  words[6] = record.groups;
  words[7] = record.weight;
  words[8] = record.bias;
  words[9] = record.activation;
  words[10] = record.table;
}

// assembly/kernels/linear.ts
export const BLOCK = 256;

/** Words of the record, and the word of each field. */
export const linearWords = 18;
export const linearOut = 1;
export const linearOutStride = 2;
export const linearX = 3;
export const linearCols = 4;
export const linearCount = 5;
export const linearPrepared = 6;
export const linearNormalised = 7;
export const linearNormKind = 8;
export const linearNormWeight = 9;
export const linearNormBias = 10;
export const linearEpsilon = 11;
export const linearActivation = 12;
export const linearResidual = 13;
export const linearParts = 14;
export const linearTileRows = 15;
export const linearScale = 16;
export const linearStreams = 17;
export interface Linear {
  readonly out: number;
  readonly outStride: number;
  readonly x: number;
  readonly cols: number;
  readonly count: number;
  readonly prepared: number;
  readonly normalised: number;
  readonly normKind: number;
  readonly normWeight: number;
  readonly normBias: number;
  readonly epsilon: number; // f32
  readonly activation: number;
  readonly residual: number;
  readonly parts: number;
  readonly tileRows: number;
  readonly scale: number; // f32
  readonly streams: number;
}
export function writeLinear({ words, floats }: Block, record: Linear): void {
  words[1] = record.out;
  words[2] = record.outStride;
  words[3] = record.x;
  words[4] = record.cols;
  words[5] = record.count;
  words[6] = record.prepared;
  words[7] = record.normalised;
  words[8] = record.normKind;
  words[9] = record.normWeight;
  words[10] = record.normBias;
  floats[11] = record.epsilon;
  words[12] = record.activation;
  words[13] = record.residual;
  words[14] = record.parts;
  words[15] = record.tileRows;
  floats[16] = record.scale;
  words[17] = record.streams;
}

/** Words of the record, and the word of each field. */
export const partWords = 5;
export const partData = 0;
export const partFormat = 1;
export const partRows = 2;
export const partFirst = 3;
export const partBias = 4;
export interface Part {
  readonly data: number;
  readonly format: number;
  readonly rows: number;
  readonly first: number;
  readonly bias: number;
}
export function writePart({ words }: Block, record: Part, at = 0): void {
  words[at] = record.data;
  words[at + 1] = record.format;
  words[at + 2] = record.rows;
  words[at + 3] = record.first;
  words[at + 4] = record.bias;
}

// assembly/kernels/math.ts
export const ACTIVATION_NONE = 0;
export const ACTIVATION_SILU = 1;
export const ACTIVATION_GELU = 2;
export const ACTIVATION_GELU_TANH = 3;
export const ACTIVATION_SIGMOID = 4;
export const ACTIVATION_TANH = 5;

// assembly/kernels/norm.ts
export const NORM_NONE = 0;
export const NORM_RMS = 1;
export const NORM_LAYER = 2;

// assembly/kernels/pool.ts
export const POOL_LOST = 208;
export const POOL_WORKERS = 212;
export const POOL_SCRATCH = 216;
export const POOL_SCRATCH_STRIDE = 220;
export const POOL_SLEEPS = 224;

// assembly/kernels/probe.ts

/** Words of the record, and the word of each field. */
export const probeWords = 24;
export const probeOut = 1;
export const probeQ = 2;
export const probePages = 3;
export const probeBlocks = 4;
export const probeCount = 5;
export const probePosition = 6;
export const probeHeads = 7;
export const probeKvHeads = 8;
export const probeHeadDim = 9;
export const probeAdded = 10;
export const probeScale = 11;
export const probeQueryBlock = 12;
export const probeLists = 13;
export const probeCausal = 14;
export const probeOffsets = 15;
export const probeRuns = 16;
export const probeKeys = 17;
export const probeStates = 18;
export const probeMasses = 19;
export const probeSpans = 20;
export const probeSpanCount = 21;
export const probeCoarse = 22;
export const probeCoded = 23;
export interface Probe {
  readonly out: number;
  readonly q: number;
  readonly pages: number;
  readonly blocks: number;
  readonly count: number;
  readonly position: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly added: number;
  readonly scale: number; // f32
  readonly queryBlock: number;
  readonly lists: number;
  readonly causal: number;
  readonly offsets: number;
  readonly runs: number;
  readonly keys: number;
  readonly states: number;
  readonly masses: number;
  readonly spans: number;
  readonly spanCount: number;
  readonly coarse: number;
  readonly coded: number;
}
export function writeProbe({ words, floats }: Block, record: Probe): void {
  words[1] = record.out;
  words[2] = record.q;
  words[3] = record.pages;
  words[4] = record.blocks;
  words[5] = record.count;
  words[6] = record.position;
  words[7] = record.heads;
  words[8] = record.kvHeads;
  words[9] = record.headDim;
  words[10] = record.added;
  floats[11] = record.scale;
  words[12] = record.queryBlock;
  words[13] = record.lists;
  words[14] = record.causal;
  words[15] = record.offsets;
  words[16] = record.runs;
  words[17] = record.keys;
  words[18] = record.states;
  words[19] = record.masses;
  words[20] = record.spans;
  words[21] = record.spanCount;
  words[22] = record.coarse;
  words[23] = record.coded;
}

// assembly/kernels/recurrent.ts

/** Words of the record, and the word of each field. */
export const shortConvWords = 12;
export const shortConvOut = 1;
export const shortConvX = 2;
export const shortConvStride = 3;
export const shortConvChannels = 4;
export const shortConvCount = 5;
export const shortConvTaps = 6;
export const shortConvWeight = 7;
export const shortConvState = 8;
export const shortConvAfter = 9;
export const shortConvGated = 10;
export const shortConvActivation = 11;
export interface ShortConv {
  readonly out: number;
  readonly x: number;
  readonly stride: number;
  readonly channels: number;
  readonly count: number;
  readonly taps: number;
  readonly weight: number;
  readonly state: number;
  readonly after: number;
  readonly gated: number;
  readonly activation: number;
}
export function writeShortConv({ words }: Block, record: ShortConv): void {
  words[1] = record.out;
  words[2] = record.x;
  words[3] = record.stride;
  words[4] = record.channels;
  words[5] = record.count;
  words[6] = record.taps;
  words[7] = record.weight;
  words[8] = record.state;
  words[9] = record.after;
  words[10] = record.gated;
  words[11] = record.activation;
}

/** Words of the record, and the word of each field. */
export const deltaWords = 19;
export const deltaOut = 1;
export const deltaQkv = 2;
export const deltaQkvStride = 3;
export const deltaRest = 4;
export const deltaRestStride = 5;
export const deltaCount = 6;
export const deltaKeyHeads = 7;
export const deltaValueHeads = 8;
export const deltaKeyDim = 9;
export const deltaValueDim = 10;
export const deltaTiled = 11;
export const deltaDecay = 12;
export const deltaTimeBias = 13;
export const deltaNorm = 14;
export const deltaEpsilon = 15;
export const deltaState = 16;
export const deltaAfter = 17;
export const deltaGates = 18;
export interface Delta {
  readonly out: number;
  readonly qkv: number;
  readonly qkvStride: number;
  readonly rest: number;
  readonly restStride: number;
  readonly count: number;
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly tiled: number;
  readonly decay: number;
  readonly timeBias: number;
  readonly norm: number;
  readonly epsilon: number; // f32
  readonly state: number;
  readonly after: number;
  readonly gates: number;
}
export function writeDelta({ words, floats }: Block, record: Delta): void {
  words[1] = record.out;
  words[2] = record.qkv;
  words[3] = record.qkvStride;
  words[4] = record.rest;
  words[5] = record.restStride;
  words[6] = record.count;
  words[7] = record.keyHeads;
  words[8] = record.valueHeads;
  words[9] = record.keyDim;
  words[10] = record.valueDim;
  words[11] = record.tiled;
  words[12] = record.decay;
  words[13] = record.timeBias;
  words[14] = record.norm;
  floats[15] = record.epsilon;
  words[16] = record.state;
  words[17] = record.after;
  words[18] = record.gates;
}

// assembly/kernels/rope.ts

/** Words of the record, and the word of each field. */
export const ropeAppendWords = 28;
export const ropeAppendOut = 1;
export const ropeAppendQkv = 2;
export const ropeAppendPages = 3;
export const ropeAppendFirstBlock = 4;
export const ropeAppendBlocks = 5;
export const ropeAppendTable = 6;
export const ropeAppendCount = 7;
export const ropeAppendPosition = 8;
export const ropeAppendHeads = 9;
export const ropeAppendKvHeads = 10;
export const ropeAppendHeadDim = 11;
export const ropeAppendPairs = 12;
export const ropeAppendInterleaved = 13;
export const ropeAppendQNorm = 14;
export const ropeAppendQBias = 15;
export const ropeAppendQEpsilon = 16;
export const ropeAppendQKind = 17;
export const ropeAppendKNorm = 18;
export const ropeAppendKBias = 19;
export const ropeAppendKEpsilon = 20;
export const ropeAppendKKind = 21;
export const ropeAppendFormat = 22;
export const ropeAppendWidth = 23;
export const ropeAppendGiven = 24;
export const ropeAppendVNormed = 25;
export const ropeAppendVEpsilon = 26;
export const ropeAppendHadamard = 27;
export interface RopeAppend {
  readonly out: number;
  readonly qkv: number;
  readonly pages: number;
  readonly firstBlock: number;
  readonly blocks: number;
  readonly table: number;
  readonly count: number;
  readonly position: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly pairs: number;
  readonly interleaved: number;
  readonly qNorm: number;
  readonly qBias: number;
  readonly qEpsilon: number; // f32
  readonly qKind: number;
  readonly kNorm: number;
  readonly kBias: number;
  readonly kEpsilon: number; // f32
  readonly kKind: number;
  readonly format: number;
  readonly width: number;
  readonly given: number;
  readonly vNormed: number;
  readonly vEpsilon: number; // f32
  readonly hadamard: number;
}
export function writeRopeAppend({ words, floats }: Block, record: RopeAppend): void {
  words[1] = record.out;
  words[2] = record.qkv;
  words[3] = record.pages;
  words[4] = record.firstBlock;
  words[5] = record.blocks;
  words[6] = record.table;
  words[7] = record.count;
  words[8] = record.position;
  words[9] = record.heads;
  words[10] = record.kvHeads;
  words[11] = record.headDim;
  words[12] = record.pairs;
  words[13] = record.interleaved;
  words[14] = record.qNorm;
  words[15] = record.qBias;
  floats[16] = record.qEpsilon;
  words[17] = record.qKind;
  words[18] = record.kNorm;
  words[19] = record.kBias;
  floats[20] = record.kEpsilon;
  words[21] = record.kKind;
  words[22] = record.format;
  words[23] = record.width;
  words[24] = record.given;
  words[25] = record.vNormed;
  floats[26] = record.vEpsilon;
  words[27] = record.hadamard;
}

// assembly/kernels/rowwise.ts

/** Words of the record, and the word of each field. */
export const rowwiseWords = 13;
export const rowwiseOut = 1;
export const rowwiseX = 2;
export const rowwiseCols = 3;
export const rowwiseCount = 4;
export const rowwiseOther = 5;
export const rowwiseOtherStride = 6;
export const rowwiseFirst = 7;
export const rowwiseSecond = 8;
export const rowwiseEpsilon = 9;
export const rowwiseWeight = 10;
export const rowwiseBias = 11;
export const rowwiseActivation = 12;
export interface Rowwise {
  readonly out: number;
  readonly x: number;
  readonly cols: number;
  readonly count: number;
  readonly other: number;
  readonly otherStride: number;
  readonly first: number;
  readonly second: number;
  readonly epsilon: number; // f32
  readonly weight: number;
  readonly bias: number;
  readonly activation: number;
}
export function writeRowwise({ words, floats }: Block, record: Rowwise): void {
  words[1] = record.out;
  words[2] = record.x;
  words[3] = record.cols;
  words[4] = record.count;
  words[5] = record.other;
  words[6] = record.otherStride;
  words[7] = record.first;
  words[8] = record.second;
  floats[9] = record.epsilon;
  words[10] = record.weight;
  words[11] = record.bias;
  words[12] = record.activation;
}

/** Words of the record, and the word of each field. */
export const denoiseWords = 19;
export const denoiseOut = 1;
export const denoiseX = 2;
export const denoiseCols = 3;
export const denoiseCount = 4;
export const denoisePredicted = 5;
export const denoiseNoise = 6;
export const denoiseGuided = 7;
export const denoiseVelocity = 8;
export const denoiseGuidance = 9;
export const denoiseAlpha = 10;
export const denoiseSigma = 11;
export const denoiseX0FromX = 12;
export const denoiseX0FromEps = 13;
export const denoiseMeanFromX0 = 14;
export const denoiseMeanFromX = 15;
export const denoiseLowLogVariance = 16;
export const denoiseHighLogVariance = 17;
export const denoiseNoiseScale = 18;
export interface Denoise {
  readonly out: number;
  readonly x: number;
  readonly cols: number;
  readonly count: number;
  readonly predicted: number;
  readonly noise: number;
  readonly guided: number;
  readonly velocity: number;
  readonly guidance: number; // f32
  readonly alpha: number; // f32
  readonly sigma: number; // f32
  readonly x0FromX: number; // f32
  readonly x0FromEps: number; // f32
  readonly meanFromX0: number; // f32
  readonly meanFromX: number; // f32
  readonly lowLogVariance: number; // f32
  readonly highLogVariance: number; // f32
  readonly noiseScale: number; // f32
}
export function writeDenoise({ words, floats }: Block, record: Denoise): void {
  words[1] = record.out;
  words[2] = record.x;
  words[3] = record.cols;
  words[4] = record.count;
  words[5] = record.predicted;
  words[6] = record.noise;
  words[7] = record.guided;
  words[8] = record.velocity;
  floats[9] = record.guidance;
  floats[10] = record.alpha;
  floats[11] = record.sigma;
  floats[12] = record.x0FromX;
  floats[13] = record.x0FromEps;
  floats[14] = record.meanFromX0;
  floats[15] = record.meanFromX;
  floats[16] = record.lowLogVariance;
  floats[17] = record.highLogVariance;
  floats[18] = record.noiseScale;
}

// assembly/kernels/sample.ts

/** Words of the record, and the word of each field. */
export const sampleWords = 14;
export const sampleLogits = 0;
export const sampleVocabulary = 1;
export const sampleSeen = 2;
export const sampleMask = 3;
export const sampleWork = 4;
export const sampleTemperature = 5;
export const sampleTopK = 6;
export const sampleTopP = 7;
export const sampleMinP = 8;
export const sampleRepetition = 9;
export const samplePresence = 10;
export const sampleSeed = 11;
export const sampleIndex = 12;
export const sampleResult = 13;
export interface Sample {
  readonly logits: number;
  readonly vocabulary: number;
  readonly seen: number;
  readonly mask: number;
  readonly work: number;
  readonly temperature: number; // f32
  readonly topK: number;
  readonly topP: number; // f32
  readonly minP: number; // f32
  readonly repetition: number; // f32
  readonly presence: number; // f32
  readonly seed: number;
  readonly index: number;
  readonly result: number;
}
export function writeSample({ words, floats }: Block, record: Sample, at = 0): void {
  words[at] = record.logits;
  words[at + 1] = record.vocabulary;
  words[at + 2] = record.seen;
  words[at + 3] = record.mask;
  words[at + 4] = record.work;
  floats[at + 5] = record.temperature;
  words[at + 6] = record.topK;
  floats[at + 7] = record.topP;
  floats[at + 8] = record.minP;
  floats[at + 9] = record.repetition;
  floats[at + 10] = record.presence;
  words[at + 11] = record.seed;
  words[at + 12] = record.index;
  words[at + 13] = record.result;
}

// assembly/kv/quantise.ts

/** Words of the record, and the word of each field. */
export const convertWords = 5;
export const convertFrom = 1;
export const convertTo = 2;
export const convertCount = 3;
export const convertHeadDim = 4;
export interface Convert {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly headDim: number;
}
export function writeConvert({ words }: Block, record: Convert): void {
  words[1] = record.from;
  words[2] = record.to;
  words[3] = record.count;
  words[4] = record.headDim;
}
