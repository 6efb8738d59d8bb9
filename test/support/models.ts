/** Real model files, which `npm run models` puts into a cache (tools/models.json lists them). */

/** Whether OCTAVO_REQUIRE_MODELS (names with commas between, set in CI) makes it an error that the model `name` cannot be had. */
export function isRequired(name: string): boolean {
  return (process.env['OCTAVO_REQUIRE_MODELS'] ?? '').split(',').includes(name);
}
