import type { Decompress, Extractor } from "./extractor.ts";
import { Pace } from "./pace.ts";
import { TarReader } from "./tar-reader.ts";

/** Extracts a tar that `decompress` unpacks; `checked`: the compression ends with a checksum over everything. */
export function tarExtractor(decompress: Decompress, checked: boolean): Extractor {
  return async ({ archive, writer, budget }, c) => {
    const reader = new TarReader(writer, budget);
    const pace = new Pace(c);
    for await (const chunk of decompress(archive)) {
      budget.decompressed(chunk.length);
      reader.push(chunk);
      if (pace.due) await pace.turn();
    }
    reader.finish(checked);
  };
}
