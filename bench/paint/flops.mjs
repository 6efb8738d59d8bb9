// Multiplications and additions of each stage, counted from the shapes: products and convolutions, attention over what it may see; not norms and activations.

/** `rows` through a transformer's block that sees all. */
const block = ({ width, mlp }, rows) => 2 * rows * (4 * width * width + 2 * width * mlp) + 4 * rows * rows * width;

/** One row (prompt) of the language model: `count` tokens behind `start`. */
function decoder({ hidden, layers, kvHeads, headDim, mlp }, count, start) {
  const weights = hidden * (hidden + 2 * kvHeads * headDim) + hidden * hidden + 3 * hidden * mlp;
  const seen = count * start + (count * (count + 1)) / 2;
  return layers * (2 * count * weights + 4 * seen * hidden);
}

/** Both prompts. */
export const promptFlops = ({ language }, prompts) =>
  prompts.reduce((sum, count) => sum + decoder(language, count, 0), 0);

export const encoderFlops = ({ mar, channels }, known) =>
  mar.encoderBlocks * block(mar, mar.buffers + known) + 2 * known * channels * mar.width;

/** Projections and language model for both prompts; `inOnce`: the projection in is shared. */
export function languageFlops({ language, mar }, known, prompts, inOnce) {
  const { hidden } = language;
  const rows = mar.buffers + known;
  const projection = 2 * rows * hidden * (mar.width + hidden);
  return (
    prompts.reduce((sum, count) => sum + decoder(language, rows, count), 0) +
    projection * (inOnce ? prompts.length + 1 : 2 * prompts.length)
  );
}

/** One row. */
export const decoderFlops = ({ mar }, known, tokens) =>
  mar.decoderBlocks * block(mar, mar.buffers + tokens) + 2 * (mar.buffers + known) * mar.width ** 2;

/** One row of the diffusion head in one step; without its condition and its time, which upstream computes anew in every step. */
export const headFlops = ({ diffusion: { width, blocks }, channels }) =>
  2 * (channels * width + blocks * 5 * width * width + 2 * width * width + 2 * channels * width);
export const conditionFlops = ({ diffusion, mar }) => 2 * mar.width * diffusion.width;
export const timeFlops = ({ diffusion: { width } }) => 2 * (256 * width + width * width);

/** The VAE's decoder for one picture of `size` pixels a side. */
export function decodeFlops({ vae, channels: z, patch }, size) {
  const widths = vae.multipliers.map((multiplier) => vae.channels * multiplier);
  const widest = widths.at(-1);
  let pixels = (size / patch) ** 2;
  let sum = 0;
  const conv = (from, to, kernel) => {
    sum += 2 * pixels * kernel * kernel * from * to;
  };
  const residual = (from, to) => {
    conv(from, to, 3);
    conv(to, to, 3);
    if (from !== to) conv(from, to, 1);
  };
  conv(z, z, 1);
  conv(z, widest, 3);
  residual(widest, widest);
  for (let i = 0; i < 4; i += 1) conv(widest, widest, 1);
  sum += 4 * pixels * pixels * widest;
  residual(widest, widest);
  let from = widest;
  for (const [i, to] of widths.toReversed().entries()) {
    for (let b = 0; b <= vae.residualBlocks; b += 1) {
      residual(from, to);
      from = to;
    }
    if (i === widths.length - 1) break;
    pixels *= 4;
    conv(to, to, 3);
  }
  conv(from, 3, 3);
  return sum;
}
