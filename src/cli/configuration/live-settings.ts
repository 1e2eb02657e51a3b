import type { LiveSettings } from "../../agent/live.ts";
import type { AgentConfig } from "../../config/config.ts";

/** Of the configuration what may change while the agent runs. */
export function liveSettings(config: AgentConfig): LiveSettings {
  const { intervalMs, hooks, keep, schedule: rules, log } = config;
  const soakMs = "soakMs" in config ? config.soakMs : 0;
  return { intervalMs, hooks, keep, rules, soakMs, logLevel: log.level };
}
