import { defineConfig } from 'vite';
import { application } from '../common/vite.mjs';

export default defineConfig(
  application({
    url: import.meta.url,
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
            'application/vnd.openxmlformats-officedocument.wordprocessingml.document': ['.docx'],
          },
        },
      ],
    },
  }),
);
