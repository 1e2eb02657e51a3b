/** A window that is closed now, and until the end of the next year, as the value of `--window`. */
export const closedWindow = `!2000-01-01..${new Date().getUTCFullYear() + 1}-12-31`;
