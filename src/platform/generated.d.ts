/** Modules that rollup.config.mjs generates from the finished engine. */

declare module 'octavo:parts' {
  /** URL of each part of the engine's worker, written out as literals (`new URL('./worker-webgpu.js', import.meta.url)`). */
  export function partUrls(): Record<string, string>;
}

declare module 'octavo:archive' {
  /** The engine's scripts and WASM builds as one gzip archive in base64; `src/platform/embedded.ts` draws its layout. */
  export const archive: string;
}

/** The loader of the engine's parts (tools/part-loader.js); absent where the engine runs from its sources. */
declare var __octavo: { place(urls: Readonly<Record<string, string>>): void } | undefined;

/** Adobe's character maps for PDFs in Chinese, Japanese and Korean (pdfjs-dist/cmaps), packed as `src/load/packed.ts` says. */
declare module 'octavo:character-maps' {
  export const archive: string;
}
