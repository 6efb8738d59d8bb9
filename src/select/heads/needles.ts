/** A text with needles, on which the heads that find passages are determined. */

/** Sentences between which the needles stand. */
export const HAY: readonly string[] = [
  'The harbour was quiet in the morning, and the boats lay close together along the old wall.',
  'A baker on the corner opened his shop at six and put the first loaves into the window.',
  'Most of the houses in the lower town were built of grey stone after the great fire.',
  'In spring the river rises above the meadows, and for a few days the mill can be reached only by boat.',
  'The school has two floors, a small library and a garden with apple trees.',
  'Every Thursday farmers from the villages sell cheese, honey and vegetables on the square.',
  'A narrow railway once carried slate from the hills down to the sea.',
  'The museum shows tools of fishermen, maps of the coast and a collection of shells.',
  'When fog comes in from the north, the lighthouse sounds its horn twice a minute.',
  'Children learn to sail in the bay before they are allowed to cross the sound.',
  'The road to the castle leads through a beech wood and over three wooden bridges.',
  'In the evening people walk along the promenade and listen to the band.',
  'The winters are mild, but storms in February often damage the roofs near the shore.',
  'An engineer from the capital planned the waterworks, which still supply the upper town.',
  'On the island live about two hundred people, many sheep and a great number of birds.',
  'The old theatre was closed for years and is now used for concerts and lectures.',
];

/** A sentence, and the question that it answers. */
export const NEEDLES: readonly (readonly [needle: string, question: string])[] = [
  [
    'The clockmaker Edwin Marsh keeps his spare key under a blue flower pot.',
    'Where does Edwin Marsh keep his spare key?',
  ],
  ['The ferry to Lindholm costs nine crowns and leaves from the third pier.', 'What does the ferry to Lindholm cost?'],
  ['Professor Adler painted the walls of her study dark green in April.', 'How did Professor Adler paint her study?'],
  [
    'The winning dish of the summer fair was a pie with pears and walnuts.',
    'What was the winning dish of the summer fair?',
  ],
];
