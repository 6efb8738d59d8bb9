/** Jinja's tests: what stands behind `is`. */
import type { Budget } from './budget.ts';
import { Text } from './text.ts';
import { Callable, compare, contains, Dict, equal, isList, isNumber, type Value } from './values.ts';

type Test = (value: Value, given: readonly Value[], budget: Budget) => boolean;

const isWhole = (value: Value): boolean => typeof value === 'number' && Number.isInteger(value);
const equals: Test = (value, [other], budget) => equal(value, other, budget);
const differs: Test = (value, [other], budget) => !equal(value, other, budget);
const less: Test = (value, [other], budget) => compare(value, other, budget) < 0;
const most: Test = (value, [other], budget) => compare(value, other, budget) <= 0;
const more: Test = (value, [other], budget) => compare(value, other, budget) > 0;
const least: Test = (value, [other], budget) => compare(value, other, budget) >= 0;
const isSequence: Test = (value) => value instanceof Text || isList(value) || value instanceof Dict;

export const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['defined', (value) => value !== undefined],
  ['undefined', (value) => value === undefined],
  ['none', (value) => value === null],
  ['string', (value) => value instanceof Text],
  ['number', (value) => isNumber(value)],
  ['integer', isWhole],
  ['float', (value) => typeof value === 'number' && !isWhole(value)],
  ['boolean', (value) => typeof value === 'boolean'],
  ['true', (value) => value === true],
  ['false', (value) => value === false],
  ['mapping', (value) => value instanceof Dict],
  ['sequence', isSequence],
  ['iterable', (value, given, budget) => value === undefined || isSequence(value, given, budget)],
  ['callable', (value) => value instanceof Callable],
  ['odd', (value) => Math.abs(Number(value)) % 2 === 1],
  ['even', (value) => Number(value) % 2 === 0],
  ['divisibleby', (value, [by]) => Number(value) % Number(by) === 0],
  ['lower', (value) => value instanceof Text && value.text === value.text.toLowerCase()],
  ['upper', (value) => value instanceof Text && value.text === value.text.toUpperCase()],
  ['in', (value, [container], budget) => contains(container, value, budget)],
  ['sameas', (value, [other]) => value === other],
  ['eq', equals],
  ['equalto', equals],
  ['==', equals],
  ['ne', differs],
  ['!=', differs],
  ['lt', less],
  ['lessthan', less],
  ['<', less],
  ['le', most],
  ['<=', most],
  ['gt', more],
  ['greaterthan', more],
  ['>', more],
  ['ge', least],
  ['>=', least],
]);
