/** What a search found, as the page is told it. */
import { pageAt } from '../document/content.ts';
import type { Found } from '../document/index/searcher.ts';
import type { SearchResult } from '../document/options.ts';
import { rectanglesOf } from '../document/rectangles.ts';

export function resultOf({ content, passage, score }: Found): SearchResult {
  const { start, end, path } = passage;
  const places = rectanglesOf(content, start, end);
  const page = pageAt(content.pages, start);
  return {
    start,
    end,
    page,
    text: content.text.slice(start, end),
    path,
    score,
    rectangles: places.filter((place) => place.page === page).map(({ rectangle }) => rectangle),
  };
}
