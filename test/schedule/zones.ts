/** Both hemispheres; half and quarter hours; half an hour of summer time; changes at midnight; a winter time; none. */
export const zones = [
  "UTC",
  "Asia/Tokyo",
  "America/New_York",
  "Europe/Berlin",
  "Europe/Dublin",
  "Australia/Sydney",
  "Australia/Lord_Howe",
  "Pacific/Chatham",
  "America/Santiago",
  "America/St_Johns",
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "Asia/Beirut",
  "Africa/Cairo",
  "Africa/Casablanca",
] as const;

const formats = new Map<string, Intl.DateTimeFormat>();

/** What a clock on the wall shows, by another way than the code under test takes. */
export function wallClock(zone: string, atMs: number): { date: string; minute: number } {
  let format = formats.get(zone);
  if (format === undefined) {
    // Sweden writes `2026-03-29 03:00`.
    format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" });
    formats.set(zone, format);
  }
  const [date = "", time = ""] = format.format(atMs).split(" ");
  const [hours, minutes] = time.split(":");
  return { date, minute: Number(hours) * 60 + Number(minutes) };
}

/** The moments in a year at which the zone's offset changes, to the minute; found without the code under test. */
export function changesOf(zone: string, year: number): number[] {
  const found: number[] = [];
  const hour = 3_600_000;
  for (let at = Date.UTC(year, 0, 1); at < Date.UTC(year + 1, 0, 1); at += hour) {
    const passed = wallMs(zone, at + hour) - wallMs(zone, at);
    if (passed === hour) continue;
    const minute = Array.from({ length: 60 }, (_, index) => at + index * 60_000).find(
      (each) => wallMs(zone, each + 60_000) - wallMs(zone, each) !== 60_000,
    );
    if (minute !== undefined) found.push(minute + 60_000);
  }
  return found;
}

function wallMs(zone: string, atMs: number): number {
  const { date, minute } = wallClock(zone, atMs);
  return Date.parse(`${date}T00:00:00Z`) + minute * 60_000;
}
