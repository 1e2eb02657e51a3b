import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { Trouble } from "../../src/events.ts";
import {
  calmMs,
  noTrouble,
  onError,
  onSettled,
  onWell,
  type TroubleState,
  troubleOf,
} from "../../src/notify/limiter.ts";
import { TroubleFile } from "../../src/notify/limiter-file.ts";
import { events, failedHook } from "../support/notices.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

const startMs = Date.parse("2026-11-21T09:36:46.000Z");

/**
 * What people are told, one sign for each step, ten seconds apart: `E` error, `.` a good moment, `m` a minute passes,
 * `t` twelve minutes, `h` an hour, `b` the clock is set back a day. Answers `-` nothing, `1` an error with its count, `3!` the last, `1~` the
 * last of what comes and goes, `R(errors/held back/outages)` the recovery.
 */
function play(steps: string): string {
  let state: TroubleState = noTrouble;
  let nowMs = startMs;
  const told: string[] = [];
  for (const step of steps) {
    const now = new Date(nowMs);
    if (step === "E") {
      const verdict = onError(state, "deploy", now);
      state = verdict.state;
      const mark = { over: "!", calm: "~" };
      const { run } = verdict;
      told.push(run === null ? "-" : `${run.count}${run.lastUntil === null ? "" : mark[run.lastUntil]}`);
    } else if (step === ".") {
      const verdict = onWell(state, "check", now);
      state = verdict.state;
      const event = verdict.recovered;
      const isRecovery = event !== null && event.kind === "recovered";
      told.push(isRecovery ? `R(${event.errors}/${event.heldBack}/${event.outages})` : "-");
    }
    const passes: Record<string, number> = { m: 60_000, t: 720_000, h: 3_600_000, b: -86_400_000 };
    nowMs += passes[step] ?? 10_000;
  }
  return told.join(" ");
}

test("of a registry that stays away they are told once, and of its end", () => {
  const [first, second] = [new Date(startMs), new Date(startMs + 10_000)];
  const begun = onError(noTrouble, "check", first);
  expect(begun.run).toEqual({ count: 1, lastUntil: "over" });
  const more = onError(begun.state, "check", second);
  expect(more.run).toBeNull();
  expect(onWell(more.state, "check", second).recovered).toMatchObject({ kind: "recovered", heldBack: 1 });
});

describe("of errors and good moments people are told", () => {
  test.each<[string, string, string]>([
    ["nothing while all is well", "...", "- - -"],
    ["one error, and its end", "E..", "1 R(1/0/1) -"],
    ["three in a row, the third being the last", "EEE", "1 2 3!"],
    ["no more than three, and how many were held back", "EEEEEE.", "1 2 3! - - - R(6/3/1)"],
    ["an outage of hours in five messages or less", "EEEhEhEhEh.", "1 2 3! - - - R(6/3/1)"],
    ["a second outage like the first", "EEEE.EEEE.", "1 2 3! - R(4/1/1) 1 2 3! - R(4/1/1)"],
    ["the third outage in a short while, as the last thing", "E.E.E", "1 R(1/0/1) 1 R(1/0/1) 1~"],
    ["no more of what comes and goes", "E.E.E.E.EE.E", "1 R(1/0/1) 1 R(1/0/1) 1~ - - - - - - -"],
    [
      "that it is over when it has been calm for ten minutes",
      "E.E.E.E.EE.E.mmmmmmmmm.m.",
      "1 R(1/0/1) 1 R(1/0/1) 1~ - - - - - - - - - R(5/4/4)",
    ],
    [
      "not that it is over when an error comes in the tenth minute",
      "E.E.E.mmmmmmmmm.E.mmmmmmmmm.m.",
      "1 R(1/0/1) 1 R(1/0/1) 1~ - - - - - R(2/1/2)",
    ],
    [
      "all again after the calm",
      "E.E.E.mmmmmmmmmm.E.E.E",
      "1 R(1/0/1) 1 R(1/0/1) 1~ - R(1/0/1) 1 R(1/0/1) 1 R(1/0/1) 1~",
    ],
    ["every one of outages that are far apart", "E.hE.hE.hE.", "1 R(1/0/1) 1 R(1/0/1) 1 R(1/0/1) 1 R(1/0/1)"],
    [
      "what flaps with long outages in short as well",
      "EEEE.EEEE.EEEE.",
      "1 2 3! - R(4/1/1) 1 2 3! - R(4/1/1) 1~ - - - -",
    ],
    [
      "nothing new when the third outage was long and the pause behind it short",
      "E.E.EtE.mE.E",
      "1 R(1/0/1) 1 R(1/0/1) 1~ - - - - -",
    ],
    [
      "no end of what flaps because its last error is long ago: it has to be well for a while",
      "E.E.Et.E",
      "1 R(1/0/1) 1 R(1/0/1) 1~ - -",
    ],
    ["nothing new of what nobody saw calm", "E.E.E.tEE.", "1 R(1/0/1) 1 R(1/0/1) 1~ - - - -"],
    [
      "no more of long outages with short pauses between",
      "EtE.EtE.EtE.EtE.",
      "1 2 R(2/0/1) 1 2 R(2/0/1) 1~ - - - - -",
    ],
    [
      "every one of long outages with long pauses between",
      "EtE.tEtE.tEtE.",
      "1 2 R(2/0/1) 1 2 R(2/0/1) 1 2 R(2/0/1)",
    ],
    ["the end, though the clock was set back meanwhile", "E.E.E.b.", "1 R(1/0/1) 1 R(1/0/1) 1~ - R(1/0/1)"],
    ["the next outage, though the clock was set back", "E.E.bE", "1 R(1/0/1) 1 R(1/0/1) 1"],
  ])("%s: %s", (_, steps, told) => {
    expect(play(steps)).toBe(told);
  });

  test("at most three errors for each recovery, and no outage without its end", () => {
    const steps = fc
      .array(fc.constantFrom("E", ".", "m", "t", "h"), { maxLength: 60 })
      .map((list) => list.join(""));
    fc.assert(
      fc.property(steps, (list) => {
        const told = play(`${list}.mmmmmmmmmm.`)
          .split(" ")
          .filter((sign) => sign !== "-");
        const parts = told.join(" ").split(/R\([^)]*\)/);
        // After the last recovery there is nothing left.
        expect(parts.at(-1)?.trim()).toBe("");
        for (const part of parts) expect(part.trim().split(" ").length).toBeLessThanOrEqual(3);
        const errors = [...list].filter((step) => step === "E").length;
        const counted = told.flatMap((sign) => [...(/R\((\d+)/.exec(sign)?.slice(1) ?? [])]).map(Number);
        expect(counted.reduce((sum, count) => sum + count, 0)).toBe(errors);
      }),
    );
  });

  test("no more than ten messages an hour, however it flaps", () => {
    const told = play("E.".repeat(180))
      .split(" ")
      .filter((sign) => sign !== "-");
    expect(told.length).toBeLessThanOrEqual(10);
  });

  test("no more than ten messages an hour, however long each outage and short each pause", () => {
    for (const outage of ["Em.", "EmmmEmm.", "EtE.", "Ehm."]) {
      const steps = outage.repeat(30);
      const told = play(steps)
        .split(" ")
        .filter((sign) => sign !== "-");
      expect(told.length).toBeLessThanOrEqual(10);
    }
  });

  test("how long it was", () => {
    const begun = onError(noTrouble, "deploy", new Date(startMs)).state;
    const { recovered } = onWell(begun, "app", new Date(startMs + 90_000));
    expect(recovered).toMatchObject({ trouble: "app", durationMs: 90_000 });
  });
});

test("what is settled is over in silence, and still one outage of many", () => {
  const begun = onError(noTrouble, "deploy", new Date(startMs)).state;
  const settled = onSettled(begun);
  expect(onWell(settled, "deploy", new Date(startMs)).recovered).toBeNull();
  expect(settled.outages).toHaveLength(1);
  expect(onSettled(noTrouble)).toBe(noTrouble);
});

test.each<[string, Trouble | null]>([
  ["failed", "deploy"],
  ["crashed", "app"],
  ["replica-lost", "app"],
  ["quarantined", null],
  ["hook", null],
  ["deployed", null],
  ["recovered", null],
])("%s is a sign of %p", (kind, trouble) => {
  for (const event of [...events, failedHook].filter((each) => each.kind === kind)) {
    expect(troubleOf(event)).toBe(trouble);
  }
});

describe("where troubles stand", () => {
  const begun = onError(noTrouble, "deploy", new Date(startMs)).state;

  test("outlasts the agent", () => {
    using dir = tempDir();
    const path = join(dir.path, "outbox/limiter.json");
    const log = recordingLog();
    TroubleFile.open(path, log).set("check", begun);
    const again = TroubleFile.open(path, log);
    expect(again.get("check")).toEqual(begun);
    expect(again.get("app")).toEqual(noTrouble);
    expect(log.records).toEqual([]);
  });

  test("is read of an earlier dewy's file", () => {
    using dir = tempDir();
    const path = join(dir.path, "limiter.json");
    const { endedAt: _, ...earlier } = begun;
    const all = { check: earlier, deploy: earlier, app: earlier };
    writeFileSync(path, JSON.stringify({ version: 1, ...all }));
    const log = recordingLog();
    expect(TroubleFile.open(path, log).get("check")).toEqual(begun);
    expect(log.records).toEqual([]);
  });

  test("is not written while all is well", () => {
    using dir = tempDir();
    const path = join(dir.path, "limiter.json");
    const file = TroubleFile.open(path, recordingLog());
    file.set("check", onWell(file.get("check"), "check", new Date(startMs)).state);
    expect(existsSync(path)).toBe(false);
  });

  test.each(["", "{", "[]", '{"version":2}', '{"version":1,"check":{"episode":{"count":"x"},"outages":[]}}'])(
    "that can't be read (%s) is set aside with one WARN",
    (content) => {
      using dir = tempDir();
      const path = join(dir.path, "limiter.json");
      writeFileSync(path, content);
      const log = recordingLog();
      expect(TroubleFile.open(path, log).get("check")).toEqual(noTrouble);
      expect(log.at("warn")).toHaveLength(1);
      expect(readFileSync(`${path}.unreadable`, "utf8")).toBe(content);
    },
  );

  test("that can't be written is remembered as long as the agent runs", () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "file"), "");
    const log = recordingLog();
    const file = TroubleFile.open(join(dir.path, "file/limiter.json"), log);
    file.set("check", begun);
    expect(file.get("check")).toBe(begun);
    expect(log.at("error")).toEqual([]);
  });
});

test("calm is ten minutes", () => expect(calmMs).toBe(600_000));
