/** A template that cannot be parsed or rendered. */
export class TemplateError extends Error {
  constructor(problem: string, line?: number) {
    super(line === undefined ? problem : `line ${line}: ${problem}`);
    this.name = 'TemplateError';
  }
}

/** The template called `raise_exception`: it does not accept these messages. */
export class TemplateRefusal extends TemplateError {
  constructor(problem: string) {
    super(problem);
    this.name = 'TemplateRefusal';
  }
}
