// Jest: a .wgsl file imports as its text, as in the rollup build.
module.exports = { process: (text) => ({ code: `export default ${JSON.stringify(text)};` }) };
