import { DewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Finding } from "../check.ts";
import type { State } from "../state.ts";
import { explain } from "./explain.ts";
import type { Preview } from "./operations.ts";
import type { Turns } from "./turns.ts";

/** What a check found, for people. */
export function previewOf({ newest, about, decision }: Finding, state: State, now: Date): Preview {
  const { text, until } = explain(decision, about, state, now);
  return {
    newest: newest?.tag ?? null,
    current: state.current?.tag ?? null,
    wouldDeploy: decision.kind === "deploy",
    reason: text,
    notBefore: until,
  };
}

const look = "a look at the registry";
/** They are over soon: what takes longer is the answer. */
const brief: ReadonlySet<string> = new Set(["a check", look]);

/** Looks when its turn comes, or tells what keeps it from that. */
export function previewInTurn(
  turns: Turns,
  ways: { look(): Promise<Preview>; underWay(what: string): Preview },
  c: Call,
): Promise<Preview> {
  const withdrawn = new AbortController();
  const overtaken = Promise.withResolvers<Preview>();
  const asker = {
    c: { signal: AbortSignal.any([c.signal, withdrawn.signal]) },
    // Also of a check that comes to be a deploy while it is waited for.
    onWaiting: (what: string) => {
      if (brief.has(what)) return;
      overtaken.resolve(ways.underWay(what));
      withdrawn.abort(new DewyError("stopped", `${what} is under way`));
    },
    onStep: () => undefined,
    onReceived: () => undefined,
  };
  return Promise.race([overtaken.promise, turns.take(look, ways.look, asker)]);
}
