/** For a file into this host's own cache, or out of it. */
export const ownDeadlineMs = 3_600_000;
/** A shared cache is near and quick, or it is no help: one that hangs must not hold a deploy that needs no cache. */
export const sharedDeadlineMs = { least: 20_000, bytesPerMs: 1024, ofUnknownSize: 300_000 } as const;
