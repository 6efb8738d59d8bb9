// The texts and questions of `npm run eval -- long --by followups`, as lines of JSON for `training/parity/oracle.py`.
//   node eval/long-rows.mjs --model FILE [--part keys] [--length 4096] [--n 4] > rows.jsonl
import { parseArgs } from 'node:util';
import { Octavo } from 'octavo';
import { data, xquad } from './documents/data.mjs';
import { LongItems } from './long-items.mjs';
import { readText } from './perplexity.mjs';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    part: { type: 'string', default: 'keys' },
    length: { type: 'string', default: '4096' },
    n: { type: 'string', default: '4' },
  },
});
const model = await Octavo.load(values.model, { device: 'wasm' });
const items = new LongItems(model, { text: readText(data('moby-dick.txt'), ''), paragraphs: xquad('en') });
for (let index = 0; index < Number(values.n); index += 1)
  console.log(JSON.stringify(await items.reading(values.part, Number(values.length), index)));
await model.destroy();
