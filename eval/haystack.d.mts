export class Haystacks {
  constructor(model: { tokenize(text: string): Promise<{ readonly length: number }> });
  item(length: number, depth: number, index: number): Promise<{ readonly input: string; readonly expected: string }>;
}
