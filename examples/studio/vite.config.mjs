import { defineConfig } from 'vite';
import { application } from '../common/vite.mjs';

export default defineConfig(
  application({
    url: import.meta.url,
    manifest: {
      name: 'Octavo Studio',
      short_name: 'Studio',
      description: 'Ask about photos, paint and edit pictures, all on this device.',
      theme_color: '#f6f6f3',
      categories: ['photo', 'productivity'],
      orientation: 'any',
      icons: [
        { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml' },
        { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
        { src: 'icon-512.png', sizes: '512x512', type: 'image/png' },
        { src: 'icon-maskable.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
      ],
      shortcuts: [
        { name: 'Ask about a photo', url: './#ask' },
        { name: 'Paint', url: './#paint' },
      ],
      share_target: {
        action: './share',
        method: 'POST',
        enctype: 'multipart/form-data',
        params: { title: 'title', text: 'text', files: [{ name: 'pictures', accept: ['image/*'] }] },
      },
    },
    // What other applications share comes as a POST, which only a service worker can answer.
    worker: { importScripts: ['share-target.js'] },
  }),
);
