/**
 * As an operator would write them. Here and not in the table of flags, so that a flag that was given can be told from
 * its default: without a check it would have no effect.
 */
export const appHealthDefaults = {
  "health-timeout": "30s",
  "health-interval": "2s",
  "health-passes": "2",
  "health-threshold": "3",
} as const;
