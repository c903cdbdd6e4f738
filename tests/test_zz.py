from tests.support.archive import *
from tests.support.hospital import *
from tests.support.instances import instance, uid
from reconcile.flows.doctor import Doctor
import pytest, warnings, random, string
R=random.Random(1)
def rnd(n): return "".join(R.choice(string.ascii_letters+string.digits) for _ in range(n))
ODD = {
 "nul in id": dict(PatientID="A\0B"),
 "nul pad new": dict(PatientID="NEW2\0"),
 "nul pad name": dict(PatientID="NEW3",PatientName="A\0"),
 "nul in name": dict(PatientName="A\0B^C"),
 "nul in name new": dict(PatientName="A\0B^C",PatientID="NEW1"),
 "nul in accession": dict(AccessionNumber="A\0B"),
 "nul in issuer": dict(IssuerOfPatientID="A\0B"),
 "sex nul": dict(PatientSex="F\0M"),
 "date nul": dict(PatientBirthDate="1980\0\0102"),
 "studydate nul": dict(StudyDate="1980\0\0102"),
 "otherids": dict(OtherPatientIDs="A\\B\0C"),
 "long id": dict(PatientID=rnd(5000)),
 "long name": dict(PatientName=rnd(50000)),
 "long name new": dict(PatientName=rnd(50000),PatientID="NEW4"),
 "long issuer": dict(PatientID="7",IssuerOfPatientID=rnd(5000)),
 "long acc": dict(AccessionNumber=rnd(5000)),
 "long date": dict(PatientID="NEW6",PatientBirthDate=rnd(50000)),
 "huge name": dict(PatientName=rnd(500000),PatientID="NEW7"),
 "many other": dict(OtherPatientIDsSequence=[Dataset() for _ in range(3)]),
}
for k,d in enumerate(ODD["many other"]["OtherPatientIDsSequence"]): d.PatientID=rnd(5000); d.IssuerOfPatientID=rnd(4000)
def test_x(database_urls, tmp_path):
    h=Hospital.at(database_urls.writer,tmp_path,database_urls.reader)
    h.patient(JANE,"100^^^A","E1^^^E")
    with archive(h) as a, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name,kw in ODD.items():
            for title in ("CT_A","IMPORT_CD"):
                i=instance(**kw)
                try: s=sendable(i)
                except Exception as e: print("cannot make",name,e); continue
                [t]=a.send(s,title=title)
                out=""
                if t.status in (0,0xb000):
                    r=a.get(f"/api/v1/instances/{i.SOPInstanceUID}/file"); out=r.status_code
                print(f"{name:20} {title} {t.status:04X} {t.comment} {out}")
    for f in Doctor(h.database,h.storage,clock).findings(): print(f)
