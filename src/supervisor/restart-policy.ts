/** What the policy remembers between deaths of the app. */
export interface RestartHistory {
  /** Deaths in a row, none of which was preceded by a good run. */
  readonly deaths: number;
}

export const noDeaths: RestartHistory = { deaths: 0 };

const firstDelayMs = 200;
const maxDelayMs = 60_000;
/** An app that ran this long was well: its next death starts the count anew. */
const goodRunMs = 60_000;

/** How long to wait before the app is started again: 200 ms, doubled with each death in a row, up to a minute. */
export function nextRestart(
  history: RestartHistory,
  uptimeMs: number,
): { history: RestartHistory; delayMs: number } {
  const deaths = uptimeMs >= goodRunMs ? 1 : history.deaths + 1;
  const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** (deaths - 1));
  return { history: { deaths }, delayMs };
}
