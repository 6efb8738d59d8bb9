// Loads the parts of the engine's worker. rollup.config.mjs puts this in front of dist/worker.js, whose chunks are asynchronous modules (AMD) that call
// `__octavo(id, dependencies, factory)`. Parts are imported by URLs that the page sends: bundlers may have renamed the files, and a worker that is
// one self-contained script, without imports of its own, goes through every bundler and is never evaluated twice.
globalThis.__octavo = (() => {
  const modules = new Map();
  const loads = new Map();
  let urls = {};
  const name = (id) => id.replace(/^\.\//, '');
  const require = (ids, resolve, reject) =>
    void Promise.all(ids.map((id) => load(name(id)))).then((made) => resolve(...made), reject);
  const fetchPart = async (id) => {
    if (urls[id] === undefined) throw new Error(`the engine has no part '${id}'`);
    await import(urls[id]);
    return make(modules.get(id));
  };
  const load = (id) => {
    const module = modules.get(id);
    if (module?.made) return module.exports;
    let loading = loads.get(id);
    if (loading === undefined) {
      loading = fetchPart(id);
      loads.set(id, loading);
      // A part that could not be fetched is asked for again the next time.
      loading.catch(() => loads.delete(id));
    }
    return loading;
  };
  const special = { exports: (module) => module.exports, require: () => require };
  const make = async (module) => {
    const given = await Promise.all(module.needs.map((id) => special[id]?.(module) ?? load(name(id))));
    if (!module.made) {
      module.made = true;
      module.factory(...given);
    }
    return module.exports;
  };
  const define = (id, needs, factory) => {
    const module = { needs, factory, exports: {}, made: false };
    modules.set(id, module);
    if (id !== 'worker') return;
    module.made = true;
    factory(...needs.map((need) => special[need](module)));
  };
  define.place = (places) => void (urls = places);
  return define;
})();
