import vue from "@vitejs/plugin-vue";
import { defineConfig, loadEnv } from "vite";

export default defineConfig(({ mode }) => {
  // ONRECORD_URL lets `npm run dev` show the streams of a running server.
  const server = loadEnv(mode, ".", "ONRECORD_")["ONRECORD_URL"] ?? "http://127.0.0.1:8000";
  return {
    plugins: [vue()],
    build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 2_000, rolldownOptions: { input: ["index.html", "docs.html"] } },
    server: { proxy: { "/api": server, "/live": { target: server, ws: true } } },
  };
});
