// npm run eval -- nano [--json FILE] [--only TEXT,TEXT] [--n N] [--steps N] [--diffusion-steps N]
// Held-out accuracy of a model, task by task. A FILE of the same model, device and options is added to, so that tasks can be shared among processes.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { groups, tasks } from './nano.mjs';
import { share } from './statistics.mjs';

export const ACCURACY_OPTIONS = { steps: { type: 'string' }, 'diffusion-steps': { type: 'string' } };

const number = (text) => (text === undefined ? undefined : Number(text));
const line = (name, { n, share: part, low, high, goal, seconds }) =>
  console.log(
    `${name.padEnd(48)} ${part.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]  n ${String(n).padStart(4)}${goal === undefined ? '' : `  goal ${goal.toFixed(2)} ${part >= goal ? 'reached' : 'MISSED'}`}${seconds === undefined ? '' : `  ${seconds.toFixed(1)} s`}`,
  );

export async function run(model, values, machine) {
  const options = Object.fromEntries(
    Object.entries({ steps: number(values.steps), diffusionSteps: number(values['diffusion-steps']) }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  const results = {};
  for (const [name, { run: ask, goal }] of Object.entries(tasks)) {
    if (!values.only.split(',').some((part) => name.includes(part))) continue;
    const begun = performance.now();
    let right = 0;
    let n = 0;
    for await (const hit of ask(model, Number(values.n), options)) {
      n += 1;
      right += hit ? 1 : 0;
    }
    results[name] = {
      ...share(right, n),
      ...(goal !== undefined && { goal }),
      seconds: Math.round((performance.now() - begun) / 100) / 10,
    };
    line(name, results[name]);
  }

  const facts = {
    model: model.name,
    fingerprint: model.fingerprint,
    device: model.device.kind,
    n: Number(values.n),
    options,
  };
  let earlier = {};
  if (values.json !== undefined && existsSync(values.json)) {
    const { results: kept, machine: _machine, date: _date, ...before } = JSON.parse(readFileSync(values.json, 'utf8'));
    if (JSON.stringify(before) === JSON.stringify(facts)) earlier = kept;
  }
  const all = { ...earlier, ...results };
  for (const [name, members] of Object.entries(groups)) {
    const found = members.map((member) => all[member]).filter((r) => r !== undefined);
    if (found.length < members.length) continue;
    const goal = tasks[members[0]].goal;
    const sum = (key) => found.reduce((total, r) => total + r[key], 0);
    all[name] = {
      ...share(sum('right'), sum('n')),
      ...(goal !== undefined && { goal }),
      seconds: Math.round(10 * sum('seconds')) / 10,
    };
    line(name, all[name]);
  }
  if (values.json !== undefined) {
    const ordered = Object.fromEntries(
      [...Object.keys(tasks), ...Object.keys(groups)].filter((name) => name in all).map((name) => [name, all[name]]),
    );
    writeFileSync(
      values.json,
      `${JSON.stringify({ ...facts, machine, date: new Date().toISOString().slice(0, 10), results: ordered }, null, 1)}\n`,
    );
  }
}
