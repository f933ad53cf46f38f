// Checks an OpenAPI document, a file or an address, with all recommended rules of Redocly. Exits with 1 on any problem.
import { readFile } from "node:fs/promises";
import { createConfig, lintFromString } from "@redocly/openapi-core";

const [source] = process.argv.slice(2);
const text = source.startsWith("http") ? await (await fetch(source)).text() : await readFile(source, "utf8");
const config = await createConfig({ extends: ["recommended"] });
const problems = await lintFromString({ source: text, absoluteRef: "openapi.json", config });
for (const { severity, ruleId, message, location } of problems) {
  console.log(`${severity} ${ruleId} ${location[0]?.pointer}: ${message}`);
}
console.log(`${problems.length} problems in ${Object.keys(JSON.parse(text).paths).length} paths`);
process.exitCode = problems.length > 0 ? 1 : 0;
