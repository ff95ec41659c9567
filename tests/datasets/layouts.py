"""Tiny archives in the exact layouts that the four datasets are published in.

Written from the published layouts alone, without any code of this project, so that a reader and
its archives cannot agree on the same mistake. `archives(name)` gives the members, to be changed at
will, `pack` writes them, and `TRUTH` holds the split as worked out by hand.
"""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

Members = dict[str, bytes]
Row = tuple[str, int, str]


def jpeg(seed: int) -> bytes:
    """Every third image is grey and every fifth CMYK, as some published ones are."""
    mode = "L" if seed % 3 == 0 else "CMYK" if seed % 5 == 0 else "RGB"
    shape = {"L": (12, 16), "RGB": (12, 16, 3), "CMYK": (12, 16, 4)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    stream = io.BytesIO()
    Image.frombytes(mode, (16, 12), pixels.tobytes()).save(stream, "JPEG")
    return stream.getvalue()


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


# CUB: ids and classes from 1; three of six classes are below the middle.
_CUB = {
    "001.Black_footed_Albatross": [
        "Black_Footed_Albatross_0046_18",
        "Black_Footed_Albatross_0009_34",
    ],
    "002.Laysan_Albatross": ["Laysan_Albatross_0002_1027", "Laysan_Albatross_0003_1033"],
    "003.Sooty_Albatross": ["Sooty_Albatross_0048_1130"],
    "004.Groove_billed_Ani": ["Groove_Billed_Ani_0002_1670", "Groove_Billed_Ani_0018_1584"],
    "005.Crested_Auklet": ["Crested_Auklet_0070_785", "Crested_Auklet_0071_786"],
    "006.Least_Auklet": ["Least_Auklet_0064_795"],
}


def cub() -> dict[str, Members | bytes]:
    files = [f"{folder}/{name}.jpg" for folder, names in _CUB.items() for name in names]
    classes = list(_CUB)
    root = "CUB_200_2011/"
    # The label files come last, so that a reader cannot count on meeting them first.
    members: Members = {f"{root}images/{file}": jpeg(i) for i, file in enumerate(files)}
    members |= {
        "attributes.txt": text("1 has_bill_shape::curved_(up_or_down)"),
        f"{root}README": text("The Caltech-UCSD Birds-200-2011 Dataset"),
        f"{root}attributes/certainties.txt": text("1 not visible"),
        f"{root}parts/parts.txt": text("1 back"),
        f"{root}bounding_boxes.txt": text(
            *(f"{i + 1} 60.0 27.0 325.0 304.0" for i in range(len(files)))
        ),
        f"{root}train_test_split.txt": text(*(f"{i + 1} {i % 2}" for i in range(len(files)))),
        f"{root}images.txt": text(*(f"{i + 1} {file}" for i, file in enumerate(files))),
        f"{root}image_class_labels.txt": text(
            *(f"{i + 1} {classes.index(file.split('/')[0]) + 1}" for i, file in enumerate(files))
        ),
        f"{root}classes.txt": text(*(f"{i + 1} {name}" for i, name in enumerate(classes))),
    }
    return {"CUB_200_2011.tgz": members}


# Cars: the file's order is not the order of the classes, and `test` splits images, not classes.
_CARS = [(1, 3), (2, 1), (3, 4), (4, 2), (5, 1), (6, 4), (7, 3), (8, 2)]
_MODELS = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Audi S4 Sedan 2007", "BMW M3 2012"]


def _mat(**variables: np.ndarray) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=True)
    return stream.getvalue()


def _records(fields: tuple[str, ...], rows: list[tuple[object, ...]]) -> np.ndarray:
    """Numbers become (1, 1) arrays of the smallest unsigned type, as in the published files."""
    table = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
    for i, row in enumerate(rows):
        table[0, i] = tuple(
            value if isinstance(value, str) else np.array([[value]], np.min_scalar_type(value))
            for value in row
        )
    return table


def _cells(texts: list[str]) -> np.ndarray:
    names = np.empty((1, len(texts)), object)
    names[0] = texts
    return names


_BOX = (112, 7, 853, 717)
_CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def cars_annotations(
    images: list[tuple[int, int]], models: list[str] = _MODELS, folder: str = "car_ims"
) -> bytes:
    rows = [(f"{folder}/{n:06}.jpg", *_BOX, label, n % 2) for n, label in images]
    table = _records(("relative_im_path", *_CORNERS, "class", "test"), rows)
    return _mat(annotations=table, class_names=_cells(models))


# The devkit and Kaggle: the numbers of the files begin again in the second folder.
CARS_FOLDERS = {
    "train": [(1, 3), (2, 1), (3, 4), (4, 2), (5, 1)],
    "test": [(1, 4), (2, 1), (3, 2)],
}
CARS_MODELS = [*_MODELS[:3], "Ram C/V Cargo Van Minivan 2012"]


def devkit_annotations(images: list[tuple[int, int]], labelled: bool = True) -> bytes:
    if not labelled:
        rows = [(*_BOX, f"{n:05}.jpg") for n, _ in images]
        return _mat(annotations=_records((*_CORNERS, "fname"), rows))
    rows = [(*_BOX, label, f"{n:05}.jpg") for n, label in images]
    return _mat(annotations=_records((*_CORNERS, "class", "fname"), rows))


def cars_devkit(
    folders: dict[str, list[tuple[int, int]]] = CARS_FOLDERS, models: list[str] = CARS_MODELS
) -> dict[str, Members | bytes]:
    """The two archives of images are made for the miniature only."""
    archives: dict[str, Members | bytes] = {
        f"cars_{half}.tgz": {f"cars_{half}/{n:05}.jpg": jpeg(n) for n, _ in images}
        for half, images in folders.items()
        if folders is CARS_FOLDERS
    }
    return archives | {
        "car_devkit.tgz": {
            "devkit/README.txt": text("This is the devkit"),
            "devkit/cars_test_annos.mat": devkit_annotations(folders["test"], labelled=False),
            "devkit/cars_train_annos.mat": devkit_annotations(folders["train"]),
            "devkit/cars_meta.mat": _mat(class_names=_cells(models)),
        },
        "cars_test_annos_withlabels.mat": devkit_annotations(folders["test"]),
    }


def cars_kaggle(
    folders: dict[str, list[tuple[int, int]]] = CARS_FOLDERS, models: list[str] = CARS_MODELS
) -> dict[str, Members | bytes]:
    """Images are whole in the miniature only."""
    members: Members = {}
    for half, images in folders.items():
        rows = (f"{n:05}.jpg,39,116,569,375,{label}" for n, label in images)
        members[f"anno_{half}.csv"] = text(*rows)
        for n, label in images:
            folder = models[label - 1].replace("/", "-")
            content = jpeg(n) if folders is CARS_FOLDERS else b""
            members[f"car_data/car_data/{half}/{folder}/{n:05}.jpg"] = content
    members["names.csv"] = text(*models)
    return {"stanford-car-dataset-by-classes-folder.zip": members}


def cars196() -> dict[str, Members | bytes]:
    return {
        "car_ims.tgz": {f"car_ims/{number:06}.jpg": jpeg(number) for number, _ in _CARS},
        "cars_annos.mat": cars_annotations(_CARS),
    }


# Products: class ids run on from the training to the test list.
_SOP = {
    "train": [
        (1, 1, 1, "bicycle_final/111085122871_0.JPG"),
        (2, 1, 1, "bicycle_final/111085122871_1.JPG"),
        (3, 2, 2, "coffee_maker_final/111265328556_0.JPG"),
        (4, 2, 2, "coffee_maker_final/111265328556_1.JPG"),
        (5, 10, 2, "coffee_maker_final/111265328599_0.JPG"),
    ],
    "test": [
        (6, 11, 1, "bicycle_final/251952414262_0.JPG"),
        (7, 11, 1, "bicycle_final/251952414262_1.JPG"),
        (8, 12, 3, "chair_final/400668651171_0.JPG"),
    ],
}


def sop() -> dict[str, Members | bytes]:
    root = "Stanford_Online_Products/"
    header = "image_id class_id super_class_id path"
    tables = {name: [" ".join(map(str, row)) for row in rows] for name, rows in _SOP.items()}
    members = {
        f"{root}Ebay_train.txt": text(header, *tables["train"]),
        f"{root}Ebay_test.txt": text(header, *tables["test"]),
        f"{root}Ebay_info.txt": text(header, *tables["train"], *tables["test"]),
        f"{root}README": text("Stanford Online Products"),
        f"{root}LICENSE": text("MIT"),
        f"{root}bicycle_final.txt": text("http://example.org 0"),
    }
    for number, _, _, path in (*_SOP["train"], *_SOP["test"]):
        members[root + path] = jpeg(number)
    return {"Stanford_Online_Products.zip": members}


# Species: (image id, folder, class id, in the val2018 file?, list that names it).
_INAT = [
    (1, "Plantae", 7477, False, "train"),
    (2, "Plantae", 7477, True, "train"),
    (3, "Plantae", 5, False, "train"),
    (4, "Aves", 3077, False, "test"),
    (5, "Aves", 3077, True, "test"),
    (6, "Insecta", 19, False, "test"),
    (7, "Insecta", 20, False, None),
]


def _inat_path(number: int, folder: str, label: int) -> str:
    return f"train_val2018/{folder}/{label}/{number:032x}.jpg"


def _inat_json(validation: bool) -> bytes:
    chosen = [row for row in _INAT if row[3] == validation]
    content = {
        "info": {"year": 2018},
        "images": [
            {"id": n, "width": 16, "height": 12, "file_name": _inat_path(n, folder, label)}
            for n, folder, label, _, _ in chosen
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": label} for n, _, label, _, _ in chosen
        ],
        "categories": [
            {"id": label, "name": f"name of {label}", "supercategory": folder}
            for label, folder in sorted({(row[2], row[1]) for row in _INAT})
        ],
    }
    return json.dumps(content).encode()


def inat2018() -> dict[str, Members | bytes]:
    def listed(name: str) -> bytes:
        return text(*(_inat_path(*row[:3]) for row in _INAT if row[4] == name))

    return {
        "train_val2018.tar.gz": {_inat_path(*row[:3]): jpeg(row[0]) for row in _INAT},
        "train2018.json.tar.gz": {"train2018.json": _inat_json(validation=False)},
        "val2018.json.tar.gz": {"val2018.json": _inat_json(validation=True)},
        "inat_dataset_splits.zip": {
            "Inat_dataset_splits/Inaturalist_train_set1.txt": listed("train"),
            "Inat_dataset_splits/Inaturalist_test_set1.txt": listed("test"),
        },
    }


LAYOUTS = {"cub": cub, "cars196": cars196, "sop": sop, "inat2018": inat2018}

# (path below images/, label, class name), worked out by hand from the tables above.
_A, _L, _S = "001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross"
_G, _C, _T = "004.Groove_billed_Ani", "005.Crested_Auklet", "006.Least_Auklet"
TRUTH: dict[str, tuple[set[Row], set[Row]]] = {
    "cub": (
        {
            (f"{_A}/Black_Footed_Albatross_0046_18.jpg", 1, _A),
            (f"{_A}/Black_Footed_Albatross_0009_34.jpg", 1, _A),
            (f"{_L}/Laysan_Albatross_0002_1027.jpg", 2, _L),
            (f"{_L}/Laysan_Albatross_0003_1033.jpg", 2, _L),
            (f"{_S}/Sooty_Albatross_0048_1130.jpg", 3, _S),
        },
        {
            (f"{_G}/Groove_Billed_Ani_0002_1670.jpg", 4, _G),
            (f"{_G}/Groove_Billed_Ani_0018_1584.jpg", 4, _G),
            (f"{_C}/Crested_Auklet_0070_785.jpg", 5, _C),
            (f"{_C}/Crested_Auklet_0071_786.jpg", 5, _C),
            (f"{_T}/Least_Auklet_0064_795.jpg", 6, _T),
        },
    ),
    "cars196": (
        {
            ("000002.jpg", 1, "AM General Hummer SUV 2000"),
            ("000005.jpg", 1, "AM General Hummer SUV 2000"),
            ("000004.jpg", 2, "Acura RL Sedan 2012"),
            ("000008.jpg", 2, "Acura RL Sedan 2012"),
        },
        {
            ("000001.jpg", 3, "Audi S4 Sedan 2007"),
            ("000007.jpg", 3, "Audi S4 Sedan 2007"),
            ("000003.jpg", 4, "BMW M3 2012"),
            ("000006.jpg", 4, "BMW M3 2012"),
        },
    ),
    "sop": (
        {
            ("bicycle_final/111085122871_0.JPG", 1, "bicycle 1"),
            ("bicycle_final/111085122871_1.JPG", 1, "bicycle 1"),
            ("coffee_maker_final/111265328556_0.JPG", 2, "coffee_maker 2"),
            ("coffee_maker_final/111265328556_1.JPG", 2, "coffee_maker 2"),
            ("coffee_maker_final/111265328599_0.JPG", 10, "coffee_maker 10"),
        },
        {
            ("bicycle_final/251952414262_0.JPG", 11, "bicycle 11"),
            ("bicycle_final/251952414262_1.JPG", 11, "bicycle 11"),
            ("chair_final/400668651171_0.JPG", 12, "chair 12"),
        },
    ),
    "inat2018": (
        {
            (f"Plantae/7477/{1:032x}.jpg", 7477, "name of 7477"),
            (f"Plantae/7477/{2:032x}.jpg", 7477, "name of 7477"),
            (f"Plantae/5/{3:032x}.jpg", 5, "name of 5"),
        },
        {
            (f"Aves/3077/{4:032x}.jpg", 3077, "name of 3077"),
            (f"Aves/3077/{5:032x}.jpg", 3077, "name of 3077"),
            (f"Insecta/19/{6:032x}.jpg", 19, "name of 19"),
        },
    ),
}


def pack(folder: Path, archives: dict[str, Members | bytes]) -> Path:
    """Write each archive into `folder` by its suffix; plain bytes become a plain file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, members in archives.items():
        if isinstance(members, bytes):
            (folder / name).write_bytes(members)
        elif name.endswith(".zip"):
            with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as bundle:
                for member, content in members.items():
                    bundle.writestr(member, content)
        else:
            with tarfile.open(folder / name, "w:gz") as tar:
                for member, content in members.items():
                    info = tarfile.TarInfo(member)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder
