import { tempDir } from "../support/temp-dir.ts";
import { storeContract } from "./contract.ts";
import { filesContract } from "./contract-files.ts";
import { localFixture, memoryDir } from "./local-fixture.ts";

storeContract("a directory", async () => localFixture(memoryDir()));
// Here a file is linked into the store, not copied.
filesContract("a directory on the files' own disk", async () => localFixture(tempDir()));
