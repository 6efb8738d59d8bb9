// Part of the service worker: keeps the picture that another application shares until the page takes it (pictures/intake.ts).
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'POST' || !url.pathname.endsWith('/share')) return;
  event.respondWith(
    (async () => {
      const form = await request.formData();
      const cache = await caches.open('octavo-studio-shared');
      const [picture] = form.getAll('pictures').filter((one) => one instanceof File);
      const words = [form.get('title'), form.get('text')].filter((one) => typeof one === 'string' && one !== '');
      if (picture !== undefined)
        await cache.put('./shared-picture', new Response(picture, { headers: { 'content-type': picture.type } }));
      await cache.put('./shared-words', new Response(words.join('\n')));
      return Response.redirect('./#shared', 303);
    })(),
  );
});
