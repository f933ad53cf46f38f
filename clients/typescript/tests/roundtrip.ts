// Uploads, searches, pages and cancels on a real server. Prints what it found as JSON, for the test that starts it.
import { readFile } from "node:fs/promises";
import { createClient, type Schemas } from "../src/index.js";

const [url = "", token = "", file = ""] = process.argv.slice(2);
const photo = (await readFile(file)).toString("base64");
const client = createClient(url, token);

const uploaded = await client.POST("/upload_image", { body: { image_base64: photo, image_name: "typescript" } });
if (!uploaded.data || !("data" in uploaded.data)) throw new Error(JSON.stringify(uploaded.error));
const garments: Schemas["Segment"][] = uploaded.data.data?.segments ?? [];

const search = (cursor: string | null) =>
  client.POST("/search", { body: { query: [{ image_base64: photo }], limit: 1, include: "none", cursor } });
const matches: Schemas["SearchMatch"][] = [];
let cursor: string | null = null;
do {
  const { data, error } = await search(cursor);
  if (!data || !("results" in data)) throw new Error(JSON.stringify(error ?? data));
  matches.push(...data.results);
  cursor = data.next_cursor;
} while (cursor);

const missing = await client.GET("/splitted_images/{id}", { params: { path: { id: "missing" } } });
const anonymous = await createClient(url).GET("/ingestions", { params: { query: { state: "failed" } } });
const canceled = await client.POST("/cancel_request/{id}", { params: { path: { id: "never" } } });

// @ts-expect-error the server takes a number
const wrongType = await client.POST("/search", { body: { limit: "ten" } });
// @ts-expect-error there is no such path
await client.GET("/no_such_path");

console.log(
  JSON.stringify({
    garments: garments.map((garment) => garment.splitted_image_id),
    matches: matches.map((match) => match.splitted_image_id),
    codes: [missing, anonymous, canceled, wrongType].map(({ error }) => error?.error.code),
  }),
);
