import type { Finding } from "../check.ts";
import type { State } from "../state.ts";
import { explain } from "./explain.ts";
import type { Preview } from "./operations.ts";

/** What a check found, for people. */
export function previewOf({ newest, about, decision }: Finding, state: State): Preview {
  const { text, until } = explain(decision, about, state);
  return {
    newest: newest?.tag ?? null,
    current: state.current?.tag ?? null,
    wouldDeploy: decision.kind === "deploy",
    reason: text,
    notBefore: until,
  };
}
