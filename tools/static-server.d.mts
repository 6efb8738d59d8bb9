export interface ServedRequest {
  readonly path: string;
  readonly range?: string;
  readonly status: number;
  /** Bytes of the body sent so far. */
  readonly sent: number;
}
export interface StaticServer {
  readonly origin: string;
  readonly requests: readonly ServedRequest[];
  throttle(bytesPerSecond: number | undefined): void;
  close(): Promise<void>;
}
export function serve(options: {
  mounts: Readonly<Record<string, string>>;
  isolated?: boolean;
  csp?: string;
  throttle?: number;
}): Promise<StaticServer>;
