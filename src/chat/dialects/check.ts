/** Tools as they are given, and names for their calls. */
import { clipped, InputError } from '../../errors.ts';
import type { Turn } from '../messages.ts';
import type { ToolChoice, ToolSettings } from '../tools.ts';

/** Models choose badly among many tools, and each takes room in the context. */
const MOST_TOOLS = 128;
const NAME = /^[\w.-]{1,64}$/;

/** Throws `InputError('argument')` for tools that cannot be shown to a model, and for a choice that is none of them. */
export function checkTools(tools: readonly ToolSettings[], choice: ToolChoice | undefined): void {
  const problem = (name: string, sentence: string): InputError =>
    new InputError('argument', `${name}: ${sentence}`, { name });
  if (tools.length > MOST_TOOLS) throw problem('tools', `${tools.length} tools, at most ${MOST_TOOLS} are allowed`);
  for (const [index, { name, inputSchema = {} }] of tools.entries()) {
    if (!NAME.test(name))
      throw problem(
        `tools.${index}.name`,
        `'${clipped(name)}' is no name; use 1 to 64 letters, digits, '_', '-' and '.'`,
      );
    if (tools.findIndex((other) => other.name === name) !== index)
      throw problem(`tools.${index}.name`, `'${name}' is the name of another tool, too; give each its own`);
    const type = inputSchema['type'];
    if (typeof inputSchema !== 'object' || Array.isArray(inputSchema) || (type !== undefined && type !== 'object'))
      throw problem(`tools.${index}.inputSchema`, "arguments are an object: give a JSON Schema with type 'object'");
  }
  if (choice === undefined || choice === 'auto' || choice === 'none') return;
  if (tools.length === 0) throw problem('toolChoice', 'there are no tools to choose; give tools');
  if (choice !== 'required' && !tools.some(({ name }) => name === choice.name))
    throw problem(
      'toolChoice',
      `there is no tool named '${clipped(choice.name)}'; there are: ${tools.map(({ name }) => name).join(', ')}`,
    );
}

/** Ids for the calls of an answer, by their number: unlike those in the conversation, and such as all templates take. */
export function callIds(turns: readonly Turn[]): (call: number) => string {
  const taken = turns.flatMap(({ calls = [] }) =>
    calls.map(({ id = '' }) => Number(/^call(\d{5})$/.exec(id)?.[1] ?? -1)),
  );
  const first = Math.max(taken.length, ...taken.map((number) => number + 1));
  return (call) => `call${String(first + call).padStart(5, '0')}`;
}
