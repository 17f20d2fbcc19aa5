"""Decodes and encodes every golden frame again: python3 check_golden.py <folder of golden files>."""

import pathlib
import sys

from maitred_codec import Codec, FrameDecoder


def frames_of(path):
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            encoding, digits = line.split(" ")
            yield encoding, bytes.fromhex(digits)


def main(folder):
    codec, count, files = Codec(), 0, sorted(pathlib.Path(folder).glob("*.hex"))
    for path in files:
        direction = path.read_text("utf-8").split(",")[1].split()[0]
        values = {"bincode": [], "json": []}
        for encoding, frame in frames_of(path):
            # In pieces, as a network would deliver it.
            decoder, found = FrameDecoder(), []
            for at in range(0, len(frame), 7):
                found += decoder.feed(frame[at:at + 7])
            [(kind, number, body)] = found
            name, fields = codec.decode(encoding, kind, body)
            again = codec.encode(encoding, number, name, fields, direction)
            assert again == frame, f"{path.name} {encoding}: {again.hex()} is not {frame.hex()}"
            values[encoding].append(fields)
            count += 1
        assert values["bincode"] == values["json"], f"{path.name}: the encodings say different things"
    assert files, f"no golden files in {folder}"
    print(f"{count} frames of {len(files)} kinds")


if __name__ == "__main__":
    main(sys.argv[1])
