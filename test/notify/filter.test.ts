import { describe, expect, test } from "bun:test";
import type { DeployEvent } from "../../src/events.ts";
import { filterOf, filterParams } from "../../src/notify/filter.ts";
import { readQuery } from "../../src/util/query.ts";
import { events, failedHook } from "../support/notices.ts";

const all: readonly DeployEvent[] = [...events, failedHook];

function passing(query: string): string[] {
  const filter = filterOf(readQuery(new URL(`slack://channel?${query}`), filterParams));
  return all.filter(filter).map((event) => (event === failedHook ? "failed hook" : event.kind));
}

const deploys = ["deploying", "downloaded", "pulled", "deployed"];
const errors = ["failed", "quarantined", "stranded", "crashed", "replica-lost", "recovered"];
/** A deploy that failed after all. */
const both = ["rolled-back"];
const agents = ["agent-started", "agent-stopping", "restarted"];

describe("a notifier is told", () => {
  test.each<[string, readonly string[]]>([
    ["", [...agents, ...deploys, ...errors, ...both, "hook", "failed hook"]],
    ["quiet=false", [...agents, ...deploys, ...errors, ...both, "hook", "failed hook"]],
    ["on=deploy,error,hook,agent", [...agents, ...deploys, ...errors, ...both, "hook", "failed hook"]],
    ["on=deploy", [...deploys, ...both]],
    ["on=error", [...errors, ...both, "failed hook"]],
    ["on=error,deploy", [...deploys, ...errors, ...both, "failed hook"]],
    ["on=hook", ["hook", "failed hook"]],
    ["on=agent", agents],
    ["quiet=true", ["deployed", ...errors, ...both, "failed hook"]],
    ["quiet=true&on=deploy", ["deployed", ...both]],
    ["quiet=true&on=hook", ["failed hook"]],
    ["quiet=true&on=agent,error", [...errors, ...both, "failed hook"]],
  ])("with ?%s", (query, kinds) => {
    // What is missing is told to everybody.
    expect(passing(query).sort()).toEqual([...kinds, "dropped"].sort());
  });

  test.each([
    ["on=errors", '"on" holds "errors"; write some of deploy,error,hook,agent'],
    ["on=", '"on" holds ""'],
    ["on=error,", '"on" holds ""'],
    ["on=error&on=deploy", "more than once"],
    ["quiet=maybe", '"quiet" is "maybe"'],
    ["on=agent&quiet=true", "never told anything"],
  ])("nothing with ?%s, which is an error", (query, words) => {
    expect(() => passing(query)).toThrow(words);
  });
});
