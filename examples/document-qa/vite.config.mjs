import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { application } from '../common/vite.mjs';

/** Character maps and fonts that PDFs may lack, as pdf.js asks for them: view/pdf.ts. */
const pdfFiles = () => ({
  name: 'pdf-files',
  apply: 'build',
  generateBundle() {
    for (const folder of ['cmaps', 'standard_fonts']) {
      const from = fileURLToPath(new URL(`../node_modules/pdfjs-dist/${folder}/`, import.meta.url));
      for (const file of readdirSync(from))
        this.emitFile({ type: 'asset', fileName: `pdfjs/${folder}/${file}`, source: readFileSync(from + file) });
    }
  },
});

/** tesseract.js's worker, its core with and without SIMD, and the languages that are installed: state/recognition.ts. */
const ocrFiles = () => ({
  name: 'ocr-files',
  apply: 'build',
  generateBundle() {
    const at = (path) => fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url));
    const emit = (fileName, from) =>
      this.emitFile({ type: 'asset', fileName: `ocr/${fileName}`, source: readFileSync(from) });
    emit('worker.min.js', at('tesseract.js/dist/worker.min.js'));
    for (const core of ['tesseract-core-simd-lstm.wasm.js', 'tesseract-core-lstm.wasm.js'])
      emit(core, at(`tesseract.js-core/${core}`));
    for (const code of readdirSync(at('@tesseract.js-data')))
      emit(`languages/${code}.traineddata.gz`, at(`@tesseract.js-data/${code}/4.0.0_best_int/${code}.traineddata.gz`));
  },
});

export default defineConfig(
  application({
    url: import.meta.url,
    plugins: [pdfFiles(), ocrFiles()],
    worker: {
      // Without a network the sample is there, PDFs in all scripts are drawn, and English and German text in pictures is recognised. Other languages are kept when a
      // document first needs them.
      globPatterns: [
        '**/*.{js,mjs,css,html,svg,png,pdf,woff2,wasm,pfb,ttf,bcmap}',
        'ocr/languages/{eng,deu}.traineddata.gz',
      ],
      globIgnores: ['ocr/tesseract-core-lstm.wasm.js'],
      runtimeCaching: [{ urlPattern: /\/ocr\//, handler: 'CacheFirst', options: { cacheName: 'text-recognition' } }],
    },
    manifest: {
      name: 'Octavo Documents',
      short_name: 'Documents',
      description: 'Ask your documents. Every answer shows where it stands, and nothing leaves this device.',
      theme_color: '#f6f6f3',
      categories: ['productivity', 'education'],
      icons: [
        { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml' },
        { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
        { src: 'icon-512.png', sizes: '512x512', type: 'image/png' },
        { src: 'icon-maskable.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
      ],
      file_handlers: [
        {
          action: './',
          accept: {
            'application/pdf': ['.pdf'],
            'text/plain': ['.txt'],
            'text/markdown': ['.md'],
            'text/html': ['.html', '.htm'],
            'text/csv': ['.csv'],
            'image/png': ['.png'],
            'image/jpeg': ['.jpg', '.jpeg'],
            'image/webp': ['.webp'],
            'application/vnd.openxmlformats-officedocument.wordprocessingml.document': ['.docx'],
          },
        },
      ],
    },
  }),
);
