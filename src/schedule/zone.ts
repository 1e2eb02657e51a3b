/** A stretch of time in which a zone's wall clock runs evenly: local time is UTC + `offsetMs`. `toMs` is not in it. */
export interface EvenStretch {
  readonly fromMs: number;
  readonly toMs: number;
  readonly offsetMs: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** The zone as it is usually spelled; null where there is none of this name. */
export function knownZone(name: string): string | null {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return null;
  }
}

export function hostZone(): string {
  return new Intl.DateTimeFormat("en-US").resolvedOptions().timeZone;
}

/** How far the zone's wall clock is ahead of UTC at a moment. */
export function offsetAt(zone: string, atMs: number): number {
  const fields = new Map<string, number>();
  for (const { type, value } of formatOf(zone).formatToParts(atMs)) fields.set(type, Number(value));
  const field = (name: string): number => fields.get(name) ?? Number.NaN;
  const wallMs = Date.UTC(
    field("year"),
    field("month") - 1,
    field("day"),
    field("hour"),
    field("minute"),
    field("second"),
  );
  return wallMs - Math.floor(atMs / 1000) * 1000;
}

/** Cuts `fromMs` … `toMs`, not longer than some hours, where the zone changes its offset: no zone does so twice in a day. */
export function evenStretches(zone: string, fromMs: number, toMs: number): EvenStretch[] {
  const offsetMs = offsetAt(zone, fromMs);
  const lastOffsetMs = offsetAt(zone, toMs - 1);
  if (offsetMs === lastOffsetMs) return [{ fromMs, toMs, offsetMs }];
  let before = fromMs;
  let after = toMs - 1;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (offsetAt(zone, middle) === offsetMs) before = middle;
    else after = middle;
  }
  return [
    { fromMs, toMs: after, offsetMs },
    { fromMs: after, toMs, offsetMs: lastOffsetMs },
  ];
}

/** Making a formatter takes many times as long as using it. */
function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  formats.set(zone, format);
  return format;
}
