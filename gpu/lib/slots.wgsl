// Finds the weight on which a workgroup of a product works. The kernel declares the override SLOTS and, in `params`,
// start1 and start2 (first workgroup of slots 1 and 2), rows0..2 (rows of each weight) and column0..2 (out column of
// the first row of each weight).

/// The slot of workgroup `group`, where each workgroup computes `columns` columns.
fn slot_of(group: u32, columns: u32) -> Slot {
  if (SLOTS > 2u && group >= params.start2) {
    return Slot(2u, (group - params.start2) * columns, params.rows2, params.column2);
  }
  if (SLOTS > 1u && group >= params.start1) {
    return Slot(1u, (group - params.start1) * columns, params.rows1, params.column1);
  }
  return Slot(0u, group * columns, params.rows0, params.column0);
}
