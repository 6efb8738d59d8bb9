// Which weight a workgroup of a product works on. The kernel declares the override SLOTS and, in `params`, start1 and start2 (first workgroup
// of slots 1 and 2), rows0..2 (rows of each weight) and column0..2 (out column of each weight's first row).

/// Of workgroup `group`, workgroups making `columns` columns each.
fn slot_of(group: u32, columns: u32) -> Slot {
  if (SLOTS > 2u && group >= params.start2) {
    return Slot(2u, (group - params.start2) * columns, params.rows2, params.column2);
  }
  if (SLOTS > 1u && group >= params.start1) {
    return Slot(1u, (group - params.start1) * columns, params.rows1, params.column1);
  }
  return Slot(0u, group * columns, params.rows0, params.column0);
}
