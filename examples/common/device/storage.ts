/** How much room the application takes on the device, and whether the browser may clear it. */
export interface Room {
  readonly used: number;
  readonly quota: number;
  /** The browser keeps it until the user removes it. */
  readonly persisted: boolean;
}

export async function room(): Promise<Room | undefined> {
  try {
    const [{ usage = 0, quota = 0 }, persisted] = await Promise.all([
      navigator.storage.estimate(),
      navigator.storage.persisted(),
    ]);
    return { used: usage, quota, persisted };
  } catch {
    return undefined;
  }
}

/** Asks the browser not to clear it when space is short; browsers decide by how much the application is used, or ask the user. */
export async function persist(): Promise<boolean> {
  try {
    return await navigator.storage.persist();
  } catch {
    return false;
  }
}
