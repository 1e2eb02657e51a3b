import type { AgentConfig } from "../../config/config.ts";
import { findUser, type User } from "../../util/user.ts";

/** Whom the app and the hooks run as; null: as the agent. `config-invalid`: nobody, or without the rights. */
export function userOf(config: AgentConfig): User | null {
  return config.command === "container" || config.user === null ? null : findUser(config.user);
}
