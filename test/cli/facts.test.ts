import { describe, expect, test } from "bun:test";
import { renderFacts, wrapped } from "../../src/cli/operator/facts.ts";
import { renderMoment, renderSpan } from "../../src/cli/operator/render-time.ts";
import { screen } from "./operator-support.ts";

describe("facts", () => {
  const facts = [{ name: "Trouble", value: "one two three four five six seven", paint: "red" } as const];

  test("are wrapped beside their names on a terminal", () => {
    expect(renderFacts(facts, screen({ columns: () => 32 }))).toBe(
      "Trouble    one two three four\n           five six seven\n",
    );
  });

  test("stay one line elsewhere", () => {
    expect(renderFacts(facts, screen())).toBe("Trouble    one two three four five six seven\n");
  });

  test("are coloured where that is wanted, line by line", () => {
    const text = renderFacts(facts, screen({ columns: () => 32, colour: true }));
    expect(text).toBe(
      "Trouble    \u001b[31mone two three four\u001b[0m\n           \u001b[31mfive six seven\u001b[0m\n",
    );
  });

  test("wrap a word that is wider than the line", () => {
    expect(wrapped("a bbbbbbbb c", 4)).toEqual(["a", "bbbb", "bbbb", "c"]);
    expect(wrapped("", 4)).toEqual([""]);
  });
});

test.each<[number, string]>([
  [0, "0s"],
  [-5, "0s"],
  [999, "1s"],
  [59_499, "59s"],
  [59_500, "1m"],
  [61_000, "1m 1s"],
  [3_600_000, "1h"],
  [3_605_000, "1h"],
  [3_660_000, "1h 1m"],
  [90_000_000, "1d 1h"],
])("%p ms are %s", (ms, text) => {
  expect(renderSpan(ms)).toBe(text);
});

test("a moment says how far away it is, and what is none stays as it is", () => {
  const now = new Date(2026, 10, 21, 12, 0, 0);
  expect(renderMoment(new Date(2026, 10, 21, 11, 58).toISOString(), now)).toBe(
    "2026-11-21 11:58:00 (2m ago)",
  );
  expect(renderMoment(new Date(2026, 10, 21, 14, 0).toISOString(), now)).toBe("2026-11-21 14:00:00 (in 2h)");
  expect(renderMoment("T1", now)).toBe("T1");
});
