import { describe, expect, test } from "bun:test";
import { parseExposition, sampleValue } from "../support/exposition.ts";

const page = (...lines: string[]) => `${lines.join("\n")}\n`;
const gauge = (...samples: string[]) => page("# HELP a Words.", "# TYPE a gauge", ...samples);
const histogram = (...samples: string[]) => page("# HELP h Words.", "# TYPE h histogram", ...samples);

describe("the reader of the text format", () => {
  test("reads families, labels, escapes and values", () => {
    const families = parseExposition(
      page(
        "# HELP a_total Of a \\\\ and a \\n.",
        "# TYPE a_total counter",
        'a_total{path="C:\\\\x",says="\\"hi\\"\\n"} 1.5e+3',
        "a_total 0",
        "",
        "# HELP h Words.",
        "# TYPE h histogram",
        'h_bucket{le="0.5"} 1',
        'h_bucket{le="+Inf"} 2',
        "h_sum 3.25",
        "h_count 2",
      ),
    );
    expect(families.get("a_total")).toEqual({
      name: "a_total",
      type: "counter",
      help: "Of a \\ and a \n.",
      samples: [
        { name: "a_total", labels: { path: "C:\\x", says: '"hi"\n' }, value: 1500 },
        { name: "a_total", labels: {}, value: 0 },
      ],
    });
    expect(sampleValue(families, "h_bucket", { le: "+Inf" })).toBe(2);
    expect(sampleValue(families, "h_bucket", { le: "7" })).toBeUndefined();
  });

  test.each<[string, string, RegExp]>([
    ["no line feed at the end", gauge("a 1").trimEnd(), /line feed/],
    ["a sample without TYPE", page("a 1"), /before its TYPE/],
    ["TYPE without HELP", page("# TYPE a gauge", "a 1"), /does not follow its HELP/],
    ["HELP without TYPE", page("# HELP a Words."), /without its TYPE/],
    ["TYPE of another", page("# HELP a W.", "# TYPE b gauge", "b 1"), /does not follow/],
    ["a family in two places", `${gauge("a 1")}${gauge('a{b="c"} 1')}`, /second HELP/],
    ["a comment", page("# UNIT a seconds"), /comment/],
    ["an unknown type", page("# HELP a W.", "# TYPE a summry", "a 1"), /unknown type/],
    ["another family's sample", gauge("b 1"), /not of the family/],
    ["a series twice", gauge('a{x="1",y="2"} 1', 'a{y="2",x="1"} 1'), /twice/],
    ["a label twice", gauge('a{x="1",x="2"} 1'), /a label twice/],
    ["a reserved label", gauge('a{__x="1"} 1'), /reserved/],
    ["a label's name that is none", gauge('a{x.y="1"} 1'), /none/],
    ["an open quote", gauge('a{x="1} 1'), /none/],
    ["a raw quote within", gauge('a{x="1"2"} 1'), /none/],
    ["an unknown escape", gauge('a{x="\\t"} 1'), /escape/],
    ["no value", gauge("a"), /no value/],
    ["a timestamp", gauge("a 1 1700000000000"), /more than one/],
    ["a value that is none", gauge("a 0x1"), /no number/],
    ["an empty family", gauge(), /no samples/],
    ["a counter by another name", page("# HELP a W.", "# TYPE a counter", "a 1"), /counter/],
    [
      "a gauge named like a counter",
      page("# HELP a_total W.", "# TYPE a_total gauge", "a_total 1"),
      /counter/,
    ],
    ["a negative counter", page("# HELP a_total W.", "# TYPE a_total counter", "a_total -1"), /below zero/],
    ["a gauge with le", gauge('a{le="1"} 1'), /le outside/],
    ["no +Inf", histogram('h_bucket{le="1"} 1', "h_sum 1", "h_count 1"), /\+Inf/],
    ["no sum", histogram('h_bucket{le="+Inf"} 1', "h_count 1"), /_sum/],
    ["no count", histogram('h_bucket{le="+Inf"} 1', "h_sum 1"), /_count/],
    ["another count", histogram('h_bucket{le="+Inf"} 1', "h_sum 1", "h_count 2"), /_count/],
    [
      "buckets that fall",
      histogram('h_bucket{le="1"} 2', 'h_bucket{le="+Inf"} 1', "h_sum 1", "h_count 1"),
      /add up/,
    ],
    [
      "bounds out of order",
      histogram('h_bucket{le="2"} 0', 'h_bucket{le="1"} 0', 'h_bucket{le="+Inf"} 1', "h_sum 1", "h_count 1"),
      /order/,
    ],
    [
      "a count of no buckets",
      histogram('h_bucket{le="+Inf"} 1', "h_sum 1", "h_count 1", 'h_count{x="1"} 1'),
      /without buckets/,
    ],
  ])("refuses %s", (_, text, reason) => {
    expect(() => parseExposition(text)).toThrow(reason);
  });
});
