// Notes, in the page, every picture each <video> shows and when. Run after pipeline/simulate/burnin.js.
// startWatching() begins; stopWatching() gives, for each video, [[utcMs, frameNumber, shownMs] ...], the count of
// pictures whose clock could not be read, and how many the browser says it presented in that time. shownMs: the later of now and the moment the browser expects the picture on
// the screen, on this machine's UTC clock, the same that the simulated device reads when it draws.
(function (root) {
  "use strict";
  const watches = [];

  function watch(video) {
    const watch = { seen: [], undecodable: 0, presented: 0, video };
    const canvas = document.createElement("canvas");
    const pixels = canvas.getContext("2d", { willReadFrequently: true });
    let before = null;
    const look = (now, metadata) => {
      if (!watches.includes(watch)) return;
      video.requestVideoFrameCallback(look);
      watch.presented += before === null ? 1 : metadata.presentedFrames - before;
      before = metadata.presentedFrames;
      const width = metadata.width, height = metadata.height;
      const x = Math.floor(width * 0.6), partWidth = width - x, partHeight = Math.ceil(height * 0.125);
      if (canvas.width !== partWidth) canvas.width = partWidth;
      if (canvas.height !== partHeight) canvas.height = partHeight;
      pixels.drawImage(video, x, 0, partWidth, partHeight, 0, 0, partWidth, partHeight);
      const shownMs = Date.now() + Math.max(0, metadata.expectedDisplayTime - performance.now());
      const image = pixels.getImageData(0, 0, partWidth, partHeight);
      const told = root.readBurnIn(image, { x, y: 0, fullWidth: width, fullHeight: height });
      if (told === null) watch.undecodable += 1;
      else watch.seen.push([told.utcMs, told.frameNumber, shownMs]);
    };
    video.requestVideoFrameCallback(look);
    watches.push(watch);
  }

  root.startWatching = () => document.querySelectorAll("video").forEach(watch);
  root.stopWatching = () => watches.splice(0).map(({ seen, undecodable, presented }) => ({ seen, undecodable, presented }));
})(globalThis);
