/** pdf.js gives no types for its worker's script; what is used of it is named where it is imported (library.ts). */
declare module 'pdfjs-dist/legacy/build/pdf.worker.mjs' {
  export const WorkerMessageHandler: unknown;
}
