/** What both entries export beside their own `Octavo`: classes for `instanceof`, and types. */
export { DeviceError, FileError, InputError, ModelError, OctavoError, StorageError } from './errors.ts';
export type { DeviceErrorCode, ErrorFacts, FileErrorCode, InputErrorCode, ModelErrorCode, StorageErrorCode } from './errors.ts';
export { OctavoModel } from './face/model.ts';
export type { Capabilities, Completion, CompletionOptions, RecoverOptions } from './face/model.ts';
export type { CreateMonitor, DownloadProgressEvent, MonitorCallback } from './face/monitor.ts';
export type { Availability, LoadOptions, OctavoFace } from './face/octavo.ts';
export { OctavoSession } from './face/session.ts';
export type { ExpectedContent, PromptOptions, SessionOptions } from './face/session.ts';
export type { TextStream } from './face/stream.ts';
export type { DeviceInfo, DeviceName } from './engine/device.ts';
export type { MemoryFacts } from './engine/service.ts';
export type { ContentPart, Message, PromptInput, Role } from './generate/messages.ts';
export type { AnswerOptions, AnswerReport, ContextOptions, FinishReason } from './generate/options.ts';
export type { SamplingMode, SamplingOptions } from './generate/sampling.ts';
export type { ModelInput } from './load/index.ts';
export type { LoadPhase, LoadProgress } from './load/model-file.ts';
export type { StoredFile } from './store/index.ts';
