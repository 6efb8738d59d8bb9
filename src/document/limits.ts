/** Bounds on what a document may ask for, with their reasons. A file is hostile until it was read. */

/** Bytes of a file that is read whole into memory. */
export const MOST_BYTES = 512 << 20;
/** Bytes of a text format: parsing takes some 30 times as much memory. */
export const MOST_TEXT_BYTES = 64 << 20;
/** Characters of a document's text: an index of it takes some 10 times as much memory. */
export const MOST_CHARACTERS = 32_000_000;
/** At 40 ms a page more would take over ten minutes to read. */
export const MOST_PAGES = 20_000;
/** Items of text on one page: more than 50 times those of a full one. */
export const MOST_ITEMS = 200_000;
/** Entries of an outline, and how deep they are nested. */
export const MOST_OUTLINE = 10_000;
export const DEEPEST_OUTLINE = 20;
/** Bytes that one part of a ZIP archive (docx) may unpack to. */
export const MOST_UNPACKED = 128 << 20;
/** Parts that an archive may list. */
export const MOST_PARTS = 20_000;
/** Cells of a row, and characters of a cell that a table shows. */
export const MOST_CELLS = 1024;
