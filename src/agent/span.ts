/** A clock that was set back must not make a wait of seconds one of years: before `from` it is not within. */
export function isWithin(now: Date, from: string, until: string): boolean {
  return new Date(from) <= now && now < new Date(until);
}
