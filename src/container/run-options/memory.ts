import type { Draft } from "./draft.ts";
import { type OptionSpec, single, toggle } from "./option.ts";
import type { Conflict } from "./problem.ts";
import { bytesOf, whole } from "./values.ts";

export const memoryOptions: readonly OptionSpec[] = [
  single(
    "memory",
    (draft, text) => {
      draft.host.Memory = bytesOf(text);
    },
    { short: "m" },
  ),
  single("memory-swap", (draft, text) => {
    draft.host.MemorySwap = text === "-1" ? -1 : bytesOf(text);
  }),
  single("memory-reservation", (draft, text) => {
    draft.host.MemoryReservation = bytesOf(text);
  }),
  single("memory-swappiness", (draft, text) => {
    draft.host.MemorySwappiness = whole(-1, 100)(text);
  }),
  toggle("oom-kill-disable", (draft, on) => {
    draft.host.OomKillDisable = on;
  }),
  single("oom-score-adj", (draft, text) => {
    draft.host.OomScoreAdj = whole(-1000, 1000)(text);
  }),
];

const between = ["memory", "memory-swap", "memory-reservation"];

/** As the engine sees them, but at start rather than at the first deploy. Zero is no limit. */
export function memoryConflicts({ host }: Draft): Conflict[] {
  const { Memory = 0, MemorySwap = 0, MemoryReservation = 0 } = host;
  const problems: Omit<Conflict, "between">[] = [];
  if (Memory === 0 && MemorySwap > 0) {
    problems.push({ message: "--memory-swap needs --memory", hint: "it is memory and swap together" });
  }
  if (Memory > 0 && MemorySwap > 0 && MemorySwap < Memory) {
    problems.push({ message: "--memory-swap is less than --memory", hint: "it is memory and swap together" });
  }
  if (Memory > 0 && MemoryReservation > Memory) {
    problems.push({ message: "--memory-reservation is more than --memory", hint: "write a smaller one" });
  }
  return problems.map((each) => ({ ...each, between }));
}
