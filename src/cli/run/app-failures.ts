import type { Agent } from "../../agent/agent.ts";
import type { AppFailure } from "../../agent/back/going-back.ts";

/** Brings failures of the app to the agent, which is made after what tells of them. */
export class AppFailures {
  agent: Pick<Agent, "appFailed"> | null = null;

  /** As AgentParts.appFailed. */
  tell(failure: AppFailure): boolean {
    return this.agent?.appFailed(failure) ?? false;
  }
}
